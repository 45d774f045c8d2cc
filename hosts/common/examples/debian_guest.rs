//! Fetches the Debian guest (once) and prints where its kernel and initramfs are.

fn main() {
    let mut last = String::new();
    let guest = nomad86_host::guest::debian(&nomad86_host::guest::cache_folder(), &mut |progress| {
        let text = progress.to_string();
        if text != last {
            eprintln!("{text}");
            last = text;
        }
    });
    match guest {
        Ok(guest) => println!("{}\n{}", guest.kernel.display(), guest.initrd.display()),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    }
}

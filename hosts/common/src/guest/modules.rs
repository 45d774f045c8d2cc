//! Kernel modules: which ones others need and which devices they drive, from the modules themselves.
//!
//! The lists that `depmod` makes are not in Debian's kernel package; what they are made from stands in each
//! module's `.modinfo` section, as NUL-terminated `key=value` strings.

use std::collections::{BTreeMap, BTreeSet};

/// A module's name as the kernel knows it: file name without extensions, underscores for dashes.
pub(super) fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.split(".ko").next().unwrap_or(file);
    stem.replace('-', "_")
}

/// All values of `key` in a module.
pub(super) fn info<'m>(module: &'m [u8], key: &str) -> Vec<&'m str> {
    let marker: Vec<u8> = [key.as_bytes(), b"="].concat();
    let mut values = Vec::new();
    // Other sections hold such strings as well, by chance: those that do not read as text are left out.
    for string in module.split(|&byte| byte == 0) {
        if let Some(value) = string.strip_prefix(&marker[..])
            && let Ok(value) = std::str::from_utf8(value)
        {
            values.push(value);
        }
    }
    values
}

/// The names that a module says it needs, soft dependencies included.
pub(super) fn needs(module: &[u8]) -> impl Iterator<Item = String> {
    let hard = info(module, "depends").into_iter().flat_map(|list| list.split(','));
    let soft = info(module, "softdep").into_iter().filter_map(|list| list.strip_prefix("pre: "));
    hard.chain(soft.flat_map(|list| list.split(' '))).filter(|n| !n.is_empty()).map(name)
}

/// The file `modules.dep`: each module's file with those of all that it needs, to be loaded from the end.
pub(super) fn dependencies(files: &BTreeMap<String, String>, modules: &BTreeMap<String, Vec<u8>>) -> String {
    let mut text = String::new();
    for (module, file) in files {
        let mut first_needed = Vec::new();
        let mut seen = BTreeSet::from([module.clone()]);
        visit(module, modules, &mut seen, &mut first_needed);
        text.push_str(file);
        text.push(':');
        for file in first_needed.iter().rev().filter_map(|needed| files.get(needed)) {
            text.push(' ');
            text.push_str(file);
        }
        text.push('\n');
    }
    text
}

/// Appends all that `module` needs, each behind what it needs itself.
fn visit(
    module: &str,
    modules: &BTreeMap<String, Vec<u8>>,
    seen: &mut BTreeSet<String>,
    order: &mut Vec<String>,
) {
    for needed in modules.get(module).into_iter().flat_map(|contents| needs(contents)) {
        if seen.insert(needed.clone()) {
            visit(&needed, modules, seen, order);
            order.push(needed);
        }
    }
}

/// The file `modules.alias`: which module drives which device.
pub(super) fn aliases(modules: &BTreeMap<String, Vec<u8>>, names: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for module in names {
        for alias in modules.get(module).map(|m| info(m, "alias")).unwrap_or_default() {
            text.push_str(&format!("alias {alias} {module}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> BTreeMap<String, Vec<u8>> {
        let module = |text: &str| text.as_bytes().to_vec();
        BTreeMap::from([
            ("ne2k_pci".into(), module("ELF\0license=GPL\0alias=pci:v000010ECd00008029*\0depends=8390\0")),
            ("8390".into(), module("\0depends=\0")),
            ("ext4".into(), module("\0depends=jbd2,mbcache\0softdep=pre: crc32c-x\0\0alias=fs-ext4\0")),
            ("jbd2".into(), module("\0depends=mbcache\0")),
            ("mbcache".into(), module("\0depends=\0")),
            ("crc32c_x".into(), module("\0\0")),
        ])
    }

    #[test]
    fn names_are_as_the_kernel_writes_them() {
        assert_eq!(name("lib/modules/6/kernel/drivers/net/ne2k-pci.ko.xz"), "ne2k_pci");
        assert_eq!(name("8390"), "8390");
    }

    #[test]
    fn a_module_tells_what_it_needs_in_both_ways() {
        let set = set();
        let names: Vec<String> = needs(&set["ext4"]).collect();
        assert_eq!(names, ["jbd2", "mbcache", "crc32c_x"]);
        assert_eq!(needs(&set["8390"]).count(), 0);
    }

    #[test]
    fn dependencies_stand_so_that_loading_from_the_end_works() {
        let files = set().keys().map(|n| (n.clone(), format!("kernel/{n}.ko"))).collect();
        let text = dependencies(&files, &set());
        assert!(text.contains("kernel/ne2k_pci.ko: kernel/8390.ko\n"), "{text}");
        assert!(
            text.contains("kernel/ext4.ko: kernel/crc32c_x.ko kernel/jbd2.ko kernel/mbcache.ko\n"),
            "{text}"
        );
        assert!(text.contains("kernel/8390.ko:\n"), "{text}");
    }

    #[test]
    fn modules_that_need_each_other_do_not_loop() {
        let mut set = set();
        set.insert("mbcache".into(), b"\0depends=ext4\0".to_vec());
        let files = set.keys().map(|n| (n.clone(), n.clone())).collect();
        assert!(dependencies(&files, &set).lines().count() == 6);
    }

    #[test]
    fn aliases_name_the_driver_of_a_device() {
        let set = set();
        let names = set.keys().cloned().collect();
        assert_eq!(aliases(&set, &names), "alias fs-ext4 ext4\nalias pci:v000010ECd00008029* ne2k_pci\n");
    }
}

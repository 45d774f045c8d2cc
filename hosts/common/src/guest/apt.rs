//! Packages for i386 through the system's own package manager, with lists and cache in a folder of its own: no root
//! is needed and the system's package state stays untouched.

use super::debian::GuestError;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder of this process with apt's lists and packages; it goes away with it.
pub(super) struct Apt {
    folder: PathBuf,
    /// What `apt-get update` complained of.
    complaint: String,
}

/// What one of apt's programs printed.
struct Answer {
    output: String,
    said: String,
}

impl Apt {
    /// Fetches the lists of packages.
    pub(super) fn new(cache: &Path, percent: &mut dyn FnMut(u8)) -> Result<Self, GuestError> {
        let folder = cache.join(format!("fetching-{}", std::process::id()));
        let mut apt = Self { folder, complaint: String::new() };
        for folder in ["lists/partial", "cache/archives/partial", "packages"] {
            make_folder(&apt.folder.join(folder))?;
        }
        write(&apt.folder.join("status"), b"")?;
        // One list that cannot be had (out of step with its release file, say) does not matter while the
        // packages are in another: the outcome shows when they are asked for.
        let said = apt.run("apt-get", &["update"], percent)?.said;
        apt.complaint = first_error(&said);
        Ok(apt)
    }

    /// A folder for what is made of the packages.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The packages that one depends on.
    pub(super) fn depends(&self, package: &str) -> Result<Vec<String>, GuestError> {
        let answer = self.run("apt-cache", &["depends", package], &mut |_| ())?;
        let names = answer.output.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// What installing packages on an empty system would install, in order.
    pub(super) fn closure(&self, packages: &[&str]) -> Result<Vec<String>, GuestError> {
        let mut arguments = vec!["-s", "--no-install-recommends", "install"];
        arguments.extend(packages);
        let answer = self.run("apt-get", &arguments, &mut |_| ())?;
        let names: Vec<String> = answer
            .output
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next().map(str::to_owned))
            .collect();
        if names.is_empty() { Err(self.missing(packages.join(", "), &answer.said)) } else { Ok(names) }
    }

    /// Fetches packages and returns their files.
    pub(super) fn download(
        &self,
        packages: &[&str],
        percent: &mut dyn FnMut(u8),
    ) -> Result<Vec<PathBuf>, GuestError> {
        let answer = self.run("apt-get", &[&["download"], packages].concat(), percent)?;
        let folder = self.folder.join("packages");
        let failed = |error| GuestError::File(folder.clone(), error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            files.push(entry.map_err(failed)?.path());
        }
        files.sort();
        if files.len() == packages.len() {
            Ok(files)
        } else {
            Err(self.missing(packages.join(" or "), &answer.said))
        }
    }

    /// Why packages are not to be had.
    pub(super) fn missing(&self, packages: impl Into<String>, said: &str) -> GuestError {
        let said = first_error(said);
        GuestError::Package(packages.into(), if said.is_empty() { self.complaint.clone() } else { said })
    }

    /// Runs one of apt's programs on lists and cache of our own.
    fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        percent: &mut dyn FnMut(u8),
    ) -> Result<Answer, GuestError> {
        let errors = self.folder.join("errors");
        let error_file = File::create(&errors).map_err(|error| GuestError::File(errors.clone(), error))?;
        let mut command = Command::new(program);
        for (name, value) in
            [("Dir::State::Lists", "lists"), ("Dir::Cache", "cache"), ("Dir::State::status", "status")]
        {
            command.arg(format!("-o{name}={}", self.folder.join(value).display()));
        }
        for option in [
            "APT::Architecture=i386",
            "APT::Architectures=i386",
            "APT::Status-Fd=1",
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
            "Acquire::Retries=2",
            "Acquire::http::Timeout=20",
            "Acquire::https::Timeout=20",
        ] {
            command.arg(format!("-o{option}"));
        }
        command.args(arguments).env("LC_ALL", "C").current_dir(self.folder.join("packages"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(error_file);
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => GuestError::Missing(program),
            _ => GuestError::File(program.into(), error),
        };
        let mut child = command.spawn().map_err(missing)?;
        let mut output = String::new();
        for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
            let Ok(line) = line else { break };
            // dlstatus:FILE:PERCENT:WHAT
            match line.strip_prefix("dlstatus:").and_then(|rest| rest.split(':').nth(1)) {
                Some(number) => percent(number.parse::<f32>().map_or(0, |p| p.clamp(0.0, 100.0) as u8)),
                None => output.extend([&line, "\n"]),
            }
        }
        child.wait().map_err(|error| GuestError::File(program.into(), error))?;
        let said =
            fs::read(&errors).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Ok(Answer { output, said })
    }
}

impl Drop for Apt {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The first error among what apt said.
fn first_error(said: &str) -> String {
    said.lines().find_map(|line| line.strip_prefix("E: ")).unwrap_or_default().to_owned()
}

/// Makes a folder and those above it.
pub(super) fn make_folder(path: &Path) -> Result<(), GuestError> {
    fs::create_dir_all(path).map_err(|error| GuestError::File(path.to_owned(), error))
}

/// Writes a file of the folder.
pub(super) fn write(path: &Path, contents: &[u8]) -> Result<(), GuestError> {
    fs::write(path, contents).map_err(|error| GuestError::File(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_package_manager_are_told_without_its_prefix() {
        let said = "W: something\nE: Unable to locate package\nE: more";
        assert_eq!(first_error(said), "Unable to locate package");
        assert_eq!(first_error("W: something"), "");
    }
}

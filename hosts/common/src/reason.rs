//! Errors of the system in words for people.

use std::io;

/// Why, without the number that the system adds.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(start) = text.find(" (os error ")
        && let Some(len) = text[start..].find(')')
    {
        text.replace_range(start..=start + len, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_left_out() {
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(reason(&io::Error::other("the end (os error x)")), "the end");
        assert_eq!(reason(&io::Error::other("the end (os error")), "the end (os error");
    }
}

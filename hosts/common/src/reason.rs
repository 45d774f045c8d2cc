//! Errors in words for people.

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

/// What somebody typed, as it may stand in a message of one line: control characters are written as Rust writes them.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines() {
        assert_eq!(
            on_one_line("a \"file\" of \u{c4}rger\r\n\t\u{85}"),
            "a \"file\" of \u{c4}rger\\r\\n\\t\\u{85}"
        );
    }

    #[test]
    fn numbers_are_left_out() {
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(reason(&io::Error::other("the end (os error x)")), "the end");
        assert_eq!(reason(&io::Error::other("the end (os error")), "the end (os error");
    }
}

//! `type,key=value,key=value`: the shape of all device options, as QEMU writes them.

use super::SpecError;
use crate::reason::on_one_line;

/// One option, split into its type and its keys.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The option's name, for messages.
    pub(super) option: &'static str,
    pub(super) kind: String,
    pairs: Vec<(String, Option<String>)>,
}

impl Options {
    /// Splits at single commas; two of them stand for one.
    pub(super) fn split(option: &'static str, text: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ',' && chars.next_if_eq(&',').is_none() {
                parts.push(String::new());
            } else if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
        let mut parts = parts.into_iter();
        let kind = parts.next().unwrap_or_default();
        let pairs = parts
            .map(|part| match part.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (part, None),
            })
            .collect();
        Self { option, kind, pairs }
    }

    /// Takes the value of `key` out; the last one counts.
    pub(super) fn take(&mut self, key: &str, expected: &str) -> Result<Option<String>, SpecError> {
        Ok(self.take_all(key, expected)?.pop())
    }

    /// Takes all values of `key` out.
    pub(super) fn take_all(&mut self, key: &str, expected: &str) -> Result<Vec<String>, SpecError> {
        let (taken, rest) = std::mem::take(&mut self.pairs).into_iter().partition(|(name, _)| name == key);
        self.pairs = rest;
        let taken: Vec<(String, Option<String>)> = taken;
        taken
            .into_iter()
            .map(|(_, value)| {
                value
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| self.error(key, "", expected, "Write a value after =."))
            })
            .collect()
    }

    /// Takes a value out and reads it.
    pub(super) fn parse<T>(
        &mut self,
        key: &str,
        expected: &str,
        advice: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SpecError> {
        let Some(value) = self.take(key, expected)? else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| self.error(key, &value, expected, advice))
    }

    /// Takes `on` or `off` out; the key alone means `on`.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, SpecError> {
        let Some(index) = self.pairs.iter().position(|(name, _)| name == key) else { return Ok(None) };
        let (_, value) = self.pairs.remove(index);
        match value.as_deref() {
            None | Some("on" | "yes" | "true" | "y") => Ok(Some(true)),
            Some("off" | "no" | "false" | "n") => Ok(Some(false)),
            Some(value) => Err(self.error(key, value, "on or off", "Write one of the two.")),
        }
    }

    /// Complains about what nobody took.
    pub(super) fn finish(&self, known: &str) -> Result<(), SpecError> {
        let Some((key, value)) = self.pairs.first() else { return Ok(()) };
        if key.is_empty() {
            return Err(self.error(
                "",
                "",
                "a key after the comma",
                "Remove the comma, or double it if it belongs to a value.",
            ));
        }
        let advice = format!("Remove it; {} knows {known}.", on_one_line(&self.kind));
        Err(self.error(key, value.as_deref().unwrap_or_default(), "an option that this network has", &advice))
    }

    pub(super) fn error(&self, key: &str, found: &str, expected: &str, advice: &str) -> SpecError {
        let mut option = format!("{} {}", self.option, on_one_line(&self.kind));
        if !key.is_empty() {
            option.extend([",", &on_one_line(key), "="]);
        }
        SpecError {
            option,
            found: found.to_owned(),
            expected: expected.to_owned(),
            advice: advice.to_owned(),
        }
    }
}

/// A number in decimal, or in hexadecimal after 0x.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if text.starts_with('+') => None,
        None => text.parse().ok(),
    }
}

/// A number with k, M or G (of 1000) behind it.
pub(super) fn scaled(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1_000),
        b'M' => (&text[..text.len() - 1], 1_000_000),
        b'G' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    number(digits)?.checked_mul(factor)
}

/// A share of 1: `0.05`, or `5%`.
pub(super) fn share(text: &str) -> Option<f64> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&value).then_some(value)
}

/// A time: `20ms`, `1s`, `500us`; without a unit, milliseconds.
pub(super) fn duration(text: &str) -> Option<std::time::Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value = digits.parse::<f64>().ok().filter(|value| (0.0..=3600e6).contains(value))?;
    let seconds = match &text[digits.len()..] {
        "" | "ms" => value / 1e3,
        "us" => value / 1e6,
        "s" => value,
        _ => return None,
    };
    (seconds <= 3600.0).then(|| std::time::Duration::from_secs_f64(seconds))
}

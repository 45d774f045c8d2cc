//! Which addresses a machine has after it was restored from a state image.

use core::fmt;
use core::str::FromStr;

/// What becomes of a network card's address when a machine is restored.
///
/// ```
/// use nomad86::net::MacPolicy;
///
/// // The names that v86's users know are read too.
/// assert_eq!("mac_address_translation".parse(), Ok(MacPolicy::Translate));
/// assert_eq!(MacPolicy::default().to_string(), "randomise");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MacPolicy {
    /// The card gets a new address on both sides; the guest learns of it when its driver loads again.
    #[default]
    Randomise,
    /// The image's address on both sides: for the only machine that runs from it.
    Preserve,
    /// The guest keeps the image's address and the wire sees a new one.
    Translate,
}

/// A text names no policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownMacPolicy;

impl fmt::Display for UnknownMacPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC policy is one of randomise, preserve and translate")
    }
}

impl core::error::Error for UnknownMacPolicy {}

impl FromStr for MacPolicy {
    type Err = UnknownMacPolicy;

    /// Reads our names and those of v86's options.
    fn from_str(text: &str) -> Result<Self, UnknownMacPolicy> {
        match text {
            "randomise" | "randomize" => Ok(Self::Randomise),
            "preserve" | "preserve_mac_from_state_image" => Ok(Self::Preserve),
            "translate" | "mac_address_translation" => Ok(Self::Translate),
            _ => Err(UnknownMacPolicy),
        }
    }
}

impl fmt::Display for MacPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Randomise => "randomise",
            Self::Preserve => "preserve",
            Self::Translate => "translate",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names_are_read_as_they_are_written() {
        for policy in [MacPolicy::Randomise, MacPolicy::Preserve, MacPolicy::Translate] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!("mac_address_translation".parse(), Ok(MacPolicy::Translate));
        assert_eq!("preserve_mac_from_state_image".parse(), Ok(MacPolicy::Preserve));
        assert_eq!("Translate".parse::<MacPolicy>(), Err(UnknownMacPolicy));
    }
}

//! Options of `nomad86 trace`.

use super::run::RunArgs;
use clap::Args;
use std::path::PathBuf;

fn address(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u32::from_str_radix(digits, 16).map_err(|_| format!("'{text}' is no address: give hexadecimal digits"))
}

fn range(text: &str) -> Result<(u32, u32), String> {
    let (start, end) = text.split_once('-').ok_or("give START-END, two linear addresses in hexadecimal")?;
    Ok((address(start)?, address(end)?))
}

fn bytes(text: &str) -> Result<Code, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let wrong = || format!("'{text}' is no code: give pairs of hexadecimal digits, such as 01d8c3");
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return Err(wrong());
    }
    let pairs = (0..digits.len()).step_by(2).map(|n| u8::from_str_radix(&digits[n..n + 2], 16));
    Ok(Code(pairs.collect::<Result<_, _>>().map_err(|_| wrong())?))
}

/// Bytes of code.
#[derive(Clone, Debug)]
pub(crate) struct Code(pub(crate) Vec<u8>);

/// Options of `trace`, and those of `run`.
#[derive(Args, Debug)]
#[command(after_help = "\
A trace has a line for each instruction: its number, CS:EIP, bytes, text, and the registers that it changed. Time \
passes with executed instructions (--icount shift=0 when nothing else is said), so that a trace repeats.")]
pub(crate) struct TraceArgs {
    /// Show what the recompiler makes of these bytes (hexadecimal), without a machine
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Trace")]
    pub(crate) code: Option<Code>,
    /// --code is 16-bit code
    #[arg(long, help_heading = "Trace", requires = "code")]
    pub(crate) bits16: bool,
    /// Run until the block at this linear address is translated, and show guest and host code
    #[arg(long, value_name = "ADDRESS", value_parser = address, help_heading = "Trace")]
    pub(crate) block: Option<u32>,
    /// Begin the trace after so many instructions
    #[arg(long, value_name = "COUNT", default_value_t = 0, help_heading = "Trace")]
    pub(crate) from: u64,
    /// End it after so many more
    #[arg(long, value_name = "COUNT", default_value_t = 1000, help_heading = "Trace")]
    pub(crate) instructions: u64,
    /// Show only instructions at these linear addresses: START-END
    #[arg(long, value_name = "RANGE", value_parser = range, help_heading = "Trace")]
    pub(crate) range: Option<(u32, u32)>,
    /// Write the trace to a file
    #[arg(long, value_name = "FILE", help_heading = "Trace")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_ranges_are_hexadecimal() {
        assert_eq!(bytes("01 d8c3").unwrap().0, [0x01, 0xD8, 0xC3]);
        assert!(bytes("01d").is_err() && bytes("xy").is_err() && bytes("").is_err());
        assert_eq!(range("c0100000-0xc0200000").unwrap(), (0xC010_0000, 0xC020_0000));
        assert!(range("c0100000").is_err());
    }
}

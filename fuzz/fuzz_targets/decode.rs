#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nomad86_fuzz::engines::decode(data));

//! A short, stable hash of text: the same in every build, and no protection against anybody who wants two
//! texts to look alike.

/// FNV-1a with 64 bits.
#[must_use]
pub fn fingerprint(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

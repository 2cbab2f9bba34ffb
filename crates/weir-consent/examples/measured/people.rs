//! What the measurements share: people by number, and what the process takes of memory.

use weir_keys::PersonKey;

/// A key as uniform as a hash: two rounds of a 64-bit mixer.
pub(crate) fn person(number: u64) -> PersonKey {
    let low = mix(number.wrapping_add(1));
    let high = mix(low ^ 0x5851_f42d_4c95_7f2d);
    let bytes = (u128::from(high) << 64 | u128::from(low)).max(1).to_le_bytes();
    PersonKey::from_bytes(bytes).expect("at least one")
}

/// Scrambles a number.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// Peak and present resident memory, as Linux tells it; nothing elsewhere.
pub(crate) fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines: Vec<_> = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")).collect();
    lines.join(", ").replace('\t', " ")
}

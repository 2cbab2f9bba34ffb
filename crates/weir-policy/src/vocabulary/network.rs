//! IP addresses, stored as the network they are in: /24 of IPv4, /48 of IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: the address itself is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(u64);

impl Network {
    /// Stands where there is no network.
    pub const BLANK: Self = Self(0);

    /// Reads an address in text form; one of IPv6 that maps IPv4, or carries it in front (6to4, RFC 3056), counts as IPv4; a zone is
    /// refused.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if let Some(network) = v4(text) {
            return Some(network);
        }
        let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
        Some(match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits() >> V4_HOST_BITS)),
            IpAddr::V6(address) if address.segments()[0] == SIX_TO_FOUR => {
                let [_, high, low, ..] = address.segments();
                Self((u64::from(high) << 16 | u64::from(low)) >> V4_HOST_BITS)
            }
            IpAddr::V6(address) => {
                let prefix = u64::try_from(address.to_bits() >> V6_HOST_BITS).expect("48 bits are left");
                Self(V6 | prefix)
            }
        })
    }

    /// Returns the number, which orders and compares as the network does.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the network of a [`number`](Self::number).
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Appends the text of the network, as `Display` has it: columns hold many, each once.
    pub fn write(self, out: &mut String) {
        if self.0 & V6 != 0 {
            return out.push_str(&self.to_string());
        }
        for shift in [16, 8, 0] {
            let number = u8::try_from(self.0 >> shift & 0xFF).expect("eight bits");
            for (power, least) in [(100, 100), (10, 10), (1, 0)] {
                if number >= least {
                    out.push(char::from(b'0' + number / power % 10));
                }
            }
            out.push('.');
        }
        out.push_str("0/24");
    }
}

/// Reads what nearly all addresses are, in one pass: four numbers up to 255 without leading zeros.
fn v4(text: &[u8]) -> Option<Network> {
    let (mut prefix, mut number, mut digits, mut dots) = (0_u64, 0_u64, 0, 0);
    for &byte in text {
        match byte {
            b'0'..=b'9' if digits < 3 && (digits == 0 || number != 0) => {
                number = number * 10 + u64::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && number <= 255 && dots < 3 => {
                prefix = prefix << 8 | number;
                (number, digits) = (0, 0);
                dots += 1;
            }
            _ => return None,
        }
    }
    (dots == 3 && digits > 0 && number <= 255).then_some(Network(prefix))
}

/// Writes `203.0.113.0/24` or `2001:db8:1::/48`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 & V6 == 0 {
            let prefix = u32::try_from(self.0).expect("24 bits of an IPv4 prefix");
            write!(f, "{}/24", Ipv4Addr::from_bits(prefix << V4_HOST_BITS))
        } else {
            write!(f, "{}/48", Ipv6Addr::from_bits(u128::from(self.0 & !V6) << V6_HOST_BITS))
        }
    }
}

/// Marks a network of IPv6; its prefix has 48 bits, so the mark touches none.
const V6: u64 = 1 << 63;
const V4_HOST_BITS: u32 = 8;
const V6_HOST_BITS: u32 = 80;

/// The first 16 bits of `2002::/16`: the next 32 are a whole address of IPv4, which /48 would keep.
const SIX_TO_FOUR: u16 = 0x2002;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_its_network() {
        for (text, network) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("255.255.255.255", "255.255.255.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2002:cb00:714d:1::1", "203.0.113.0/24"),
            ("2001:db8:85a3::8a2e:370:7334", "2001:db8:85a3::/48"),
            ("::1", "::/48"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff::/48"),
        ] {
            assert_eq!(
                Network::parse(text.as_bytes()).map(|network| network.to_string()).as_deref(),
                Some(network),
                "{text}"
            );
        }
        for text in ["0.0.0.0", "1.20.100.9", "255.10.99.255", "2001:db8::1"] {
            let network = Network::parse(text.as_bytes()).unwrap();
            let mut written = String::from("in ");
            network.write(&mut written);
            assert_eq!(written, format!("in {network}"));
        }
        for text in
            ["", "203.0.113", "203.0.113.77:80", "[::1]", "fe80::1%eth0", "203.0.113.077", "a", "203.0.113.0/24"]
        {
            assert_eq!(Network::parse(text.as_bytes()), None, "{text}");
        }
    }
}

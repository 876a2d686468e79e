//! IP addresses and networks (k8s.io/apiserver pkg/cel/library/ip.go, cidr.go), read as Go's net/netip reads them.

use std::net::IpAddr;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::Opaque;

use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{as_opaque, opaque};
use crate::wire::quote::go_quote;

pub(super) const NAMES: &[&str] = &[
    "cidr",
    "containsCIDR",
    "containsIP",
    "family",
    "ip",
    "ip.isCanonical",
    "isCIDR",
    "isGlobalUnicast",
    "isIP",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isUnspecified",
    "masked",
    "prefixLength",
    "size",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ip(IpAddr);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Opaque for Ip {
    fn runtime_type_name(&self) -> &'static str {
        "net.IP"
    }
}

impl Opaque for Cidr {
    fn runtime_type_name(&self) -> &'static str {
        "net.CIDR"
    }
}

pub(super) fn call(name: &str, arguments: &[Value], _: &mut Budget) -> Result<Option<Value>, Failure> {
    match arguments {
        [Value::String(text)] => of_text(name, text),
        [value] => match (as_opaque::<Ip>(value), as_opaque::<Cidr>(value)) {
            (Some(ip), _) => Ok(of_ip(name, ip.0)),
            (_, Some(cidr)) => Ok(of_cidr(name, *cidr)),
            _ => Ok(None),
        },
        [value, other] => match as_opaque::<Cidr>(value) {
            Some(cidr) => contains(name, *cidr, other),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn of_text(name: &str, text: &str) -> Result<Option<Value>, Failure> {
    Ok(Some(match name {
        "ip" => opaque(Ip(ip(text)?)),
        "ip.isCanonical" => Value::Bool(ip(text)?.to_string() == text),
        "isIP" => Value::Bool(ip(text).is_ok()),
        "cidr" => opaque(cidr(text)?),
        "isCIDR" => Value::Bool(cidr(text).is_ok()),
        _ => return Ok(None),
    }))
}

fn of_ip(name: &str, ip: IpAddr) -> Option<Value> {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    Some(match name {
        "family" => Value::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isGlobalUnicast" => {
            let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
            Value::Bool(!(broadcast || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local))
        }
        "isLinkLocalMulticast" => Value::Bool(match ip {
            IpAddr::V4(ip) => ip.octets().starts_with(&[224, 0, 0]),
            IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
        }),
        "isLinkLocalUnicast" => Value::Bool(link_local),
        "isLoopback" => Value::Bool(ip.is_loopback()),
        "isUnspecified" => Value::Bool(ip.is_unspecified()),
        "size" => Value::Int(if ip.is_ipv4() { 4 } else { 16 }),
        _ => return None,
    })
}

fn of_cidr(name: &str, cidr: Cidr) -> Option<Value> {
    Some(match name {
        "ip" => opaque(Ip(cidr.address)),
        "masked" => opaque(cidr.masked()),
        "prefixLength" => Value::Int(i64::from(cidr.bits)),
        "size" => Value::Int(i64::from(cidr.bits).div_euclid(8) + i64::from(!cidr.bits.is_multiple_of(8))),
        _ => return None,
    })
}

fn contains(name: &str, of: Cidr, other: &Value) -> Result<Option<Value>, Failure> {
    Ok(match (name, other) {
        // What is no address is not said to be one.
        ("containsIP", Value::String(text)) => {
            Some(Value::Bool(of.contains(ip(text).map_err(|_| Failure::overload())?)))
        }
        ("containsIP", other) => as_opaque::<Ip>(other).map(|ip| Value::Bool(of.contains(ip.0))),
        ("containsCIDR", Value::String(text)) => Some(Value::Bool(of.holds(cidr(text)?))),
        ("containsCIDR", other) => as_opaque::<Cidr>(other).map(|cidr| Value::Bool(of.holds(*cidr))),
        _ => None,
    })
}

/// `string(ip)`, `string(cidr)`
pub(super) fn shown(value: &Value) -> Option<String> {
    match (as_opaque::<Ip>(value), as_opaque::<Cidr>(value)) {
        (Some(ip), _) => Some(ip.0.to_string()),
        (_, Some(cidr)) => Some(format!("{}/{}", cidr.address, cidr.bits)),
        _ => None,
    }
}

impl Cidr {
    fn masked(self) -> Self {
        let bits = u32::from(self.bits);
        let address = match self.address {
            IpAddr::V4(ip) => IpAddr::from((ip.to_bits() & u32::MAX.checked_shl(32 - bits).unwrap_or(0)).to_be_bytes()),
            IpAddr::V6(ip) => {
                IpAddr::from((ip.to_bits() & u128::MAX.checked_shl(128 - bits).unwrap_or(0)).to_be_bytes())
            }
        };
        Self { address, ..self }
    }

    fn contains(self, ip: IpAddr) -> bool {
        let same_family = self.address.is_ipv4() == ip.is_ipv4();
        let network = Self { address: ip, ..self };
        same_family && network.masked() == self.masked()
    }

    fn holds(self, other: Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }
}

fn ip(text: &str) -> Result<IpAddr, Failure> {
    let quoted = go_quote(text);
    if let Some((address, zone)) = text.split_once('%')
        && !zone.is_empty()
        && parse_ip(address).is_ok_and(|address| address.is_ipv6())
    {
        return Err(Failure::new(format!(
            "IP address {quoted} with zone value is not allowed"
        )));
    }
    let parsed = parse_ip(text).map_err(|why| {
        Failure::new(format!(
            "IP Address {quoted} parse error during conversion from string: {why}"
        ))
    })?;
    mapped(parsed, text)
}

fn mapped(address: IpAddr, text: &str) -> Result<IpAddr, Failure> {
    match address {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => {
            let quoted = go_quote(text);
            Err(Failure::new(format!(
                "IPv4-mapped IPv6 address {quoted} is not allowed"
            )))
        }
        address => Ok(address),
    }
}

fn cidr(text: &str) -> Result<Cidr, Failure> {
    let again = "network address parse error during conversion from string";
    let parsed = parse_cidr(text).map_err(|why| {
        let quoted = go_quote(text);
        Failure::new(format!("{again}: {again}: netip.ParsePrefix({quoted}): {why}"))
    })?;
    mapped(parsed.address, text).map_err(|why| Failure::new(format!("{again}: {why}")))?;
    Ok(parsed)
}

fn parse_cidr(text: &str) -> Result<Cidr, String> {
    let Some((address, bits)) = text.rsplit_once('/') else {
        return Err("no '/'".to_owned());
    };
    let address = parse_ip(address)?;
    let bad = || format!("bad bits after slash: {}", go_quote(bits));
    if bits.starts_with(['+', '-']) || bits.len() > 1 && bits.starts_with('0') {
        return Err(bad());
    }
    let most = if address.is_ipv4() { 32 } else { 128 };
    match bits.parse::<u64>() {
        Ok(bits) if bits <= most => Ok(Cidr {
            address,
            bits: u8::try_from(bits).unwrap_or(u8::MAX),
        }),
        Ok(_) => Err("prefix length out of range".to_owned()),
        Err(_) => Err(bad()),
    }
}

/// Go's netip.ParseAddr without zones; what is wrong in its words where it is simple.
pub(super) fn parse_ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        let why = match text.find(['.', ':', '%']).map(|at| text.as_bytes()[at]) {
            Some(b'.') => four(text),
            Some(b':') => six(text),
            Some(_) => "missing IPv6 address".to_owned(),
            None => "unable to parse IP".to_owned(),
        };
        format!("ParseAddr({}): {why}", go_quote(text))
    })
}

fn four(text: &str) -> String {
    let mut value = 0_u32;
    let mut digits = 0;
    let mut fields = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let rest = || go_quote(&text[at..]);
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return "IPv4 field has octet with leading zero".to_owned();
                }
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return "IPv4 field has value >255".to_owned();
                }
            }
            b'.' => {
                if at == 0 || at == bytes.len() - 1 || bytes[at - 1] == b'.' {
                    return format!("IPv4 field must have at least one digit (at {})", rest());
                }
                if fields == 3 {
                    return "IPv4 address too long".to_owned();
                }
                fields += 1;
                (value, digits) = (0, 0);
            }
            _ if text.is_char_boundary(at) => return format!("unexpected character (at {})", rest()),
            _ => {}
        }
    }
    "IPv4 address too short".to_owned()
}

fn six(text: &str) -> String {
    let mut rest = text.strip_prefix("::").unwrap_or(text);
    let mut ellipsis = rest.len() != text.len();
    let mut fields = 0;
    while fields < 8 {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        let at = |why: &str, rest: &str| format!("{why} (at {})", go_quote(rest));
        match digits {
            0 => return at("each colon-separated field must have at least one digit", rest),
            1..=4 => {}
            _ => return at("each group must have 4 or less digits", rest),
        }
        fields += 1;
        rest = &rest[digits..];
        let Some(after) = rest.strip_prefix(':') else {
            if rest.is_empty() {
                break;
            }
            return at("unexpected character, want colon", rest);
        };
        if after.is_empty() {
            return at("colon must be followed by more characters", rest);
        }
        rest = after;
        if let Some(after) = rest.strip_prefix(':') {
            if ellipsis {
                return at("multiple :: in address", rest);
            }
            ellipsis = true;
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    if rest.is_empty() {
        "address string too short".to_owned()
    } else {
        format!("trailing garbage after address (at {})", go_quote(rest))
    }
}

//! Frames (RFC 6455, section 5.2).

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// UTF-8.
    Text = 1,
    /// Bytes.
    Binary = 2,
    /// The end.
    Close = 8,
    /// Wants a pong.
    Ping = 9,
    /// A sign of life.
    Pong = 10,
}

/// Close: all is well.
pub(super) const NORMAL: u16 = 1000;
/// Close: the other side does not keep the rules.
pub(super) const PROTOCOL_ERROR: u16 = 1002;
/// The longest payload of a ping, in bytes.
const CONTROL: usize = 125;
/// The longest head: two bytes, a length, a mask.
const HEAD: usize = 14;

/// What a client may send that means something.
pub(super) enum Received<'a> {
    Ping(&'a [u8]),
    Close,
    /// A client must mask what it sends.
    Unmasked,
}

/// Reads frames as they come, in constant memory: payloads that mean nothing are passed over.
#[derive(Default)]
pub(super) struct Parser {
    head: Vec<u8>,
    payload: Option<Payload>,
}

struct Payload {
    opcode: u8,
    mask: [u8; 4],
    left: u64,
    kept: Vec<u8>,
}

impl Parser {
    /// What is kept of what was sent, in bytes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.head.capacity() + self.payload.as_ref().map_or(0, |payload| payload.kept.capacity())
    }

    /// Takes the next bytes of the connection.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut received: impl FnMut(Received<'_>)) {
        loop {
            if let Some(payload) = &mut self.payload {
                bytes = payload.take(bytes);
                if payload.left > 0 {
                    return;
                }
                match payload.opcode {
                    8 => received(Received::Close),
                    9 => received(Received::Ping(&payload.kept)),
                    _ => {}
                }
                self.payload = None;
            }
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.head.push(*first);
            bytes = rest;
            if let Some(head) = head(&self.head) {
                self.head.clear();
                match head {
                    Some(payload) => self.payload = Some(payload),
                    None => received(Received::Unmasked),
                }
            }
        }
    }
}

/// A head that is complete; within it, `None` where there is no mask.
fn head(bytes: &[u8]) -> Option<Option<Payload>> {
    let [first, second, rest @ ..] = bytes else { return None };
    if second & 0x80 == 0 {
        return Some(None);
    }
    let (length, rest) = match second & 0x7f {
        126 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*length), rest)
        }
        short => (u64::from(short), rest),
    };
    let (mask, _) = rest.split_first_chunk::<4>()?;
    Some(Some(Payload {
        opcode: first & 0x0f,
        mask: *mask,
        left: length,
        kept: Vec::new(),
    }))
}

impl Payload {
    /// Takes what belongs to this payload; answers the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let length = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (own, rest) = bytes.split_at(length);
        if self.opcode == Opcode::Ping as u8 {
            for byte in own.iter().take(CONTROL - self.kept.len()) {
                let at = self.kept.len() % self.mask.len();
                self.kept.push(byte ^ self.mask[at]);
            }
        }
        self.left -= length as u64;
        rest
    }
}

/// Appends a whole frame, unmasked as a server's are.
pub(super) fn append(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(payload.len() + HEAD);
    out.push(0x80 | opcode as u8);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

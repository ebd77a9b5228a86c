//! Just enough of Protocol Buffers to write a message.

/// A message under construction.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

/// The kinds of fields: an integer of any length, eight bytes, and bytes with their length before.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3 | VARINT);
        self.varint(value);
        self
    }

    pub(super) fn fixed(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3 | FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    /// A field that is a message itself.
    pub(super) fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn fields_are_as_the_specification_has_them() {
        let mut message = Message::default();
        message.number(1, 150).text(2, "testing").fixed(3, 1).message(4, |inner| _ = inner.number(1, 0));
        // The first two are the examples of the specification.
        let expected =
            [b"\x08\x96\x01".as_slice(), b"\x12\x07testing", b"\x19\x01\0\0\0\0\0\0\0", b"\x22\x02\x08\x00"];
        assert_eq!(message.into_bytes(), expected.concat());
    }
}

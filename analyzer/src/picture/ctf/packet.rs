//! A packet of a stream: a head of fixed size, then events. All fields are whole bytes, little-endian, without padding.

/// First bytes of each packet.
const MAGIC: u32 = 0xc1fc_1fc1;

/// What is the same in all packets of a stream.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) uuid: [u8; 16],
    /// Number of the stream's class.
    pub(super) class: u32,
    /// The end of the packet context, behind the counter of lost events.
    pub(super) context: Vec<u8>,
}

/// Events of a stream that are still to be written as a packet.
#[derive(Debug)]
pub(super) struct Packet {
    head: Head,
    /// The events.
    pub(super) bytes: Vec<u8>,
    begin_ns: u64,
    /// Time of the last event or loss, in this packet or one before it.
    end_ns: u64,
    /// Events of the stream that were lost so far.
    discarded: u64,
}

impl Packet {
    pub(super) fn new(head: Head) -> Self {
        Self { head, bytes: Vec::new(), begin_ns: 0, end_ns: 0, discarded: 0 }
    }

    /// Begins an event: its context and its fields follow.
    pub(super) fn begin_event(&mut self, time_ns: u64, class: u32) {
        if self.bytes.is_empty() {
            self.begin_ns = time_ns;
        }
        self.end_ns = time_ns;
        self.bytes.extend_from_slice(&class.to_le_bytes());
        self.bytes.extend_from_slice(&time_ns.to_le_bytes());
    }

    /// Makes the packet of the events, if there are any.
    pub(super) fn seal(&mut self, out: &mut Vec<u8>) {
        if !self.bytes.is_empty() {
            self.push((self.begin_ns, self.end_ns), out);
            self.bytes.clear();
        }
    }

    /// Makes what tells of lost events: the packet of the events before, an empty one up to where the loss begins, and an empty
    /// one of its time, with the counter that it leaves.
    pub(super) fn lose(&mut self, from_ns: u64, to_ns: u64, count: u64, out: &mut Vec<u8>) {
        self.seal(out);
        let from_ns = from_ns.max(self.end_ns);
        let to_ns = to_ns.max(from_ns);
        self.push((from_ns, from_ns), out);
        self.discarded = self.discarded.saturating_add(count);
        self.push((from_ns, to_ns), out);
        self.end_ns = to_ns;
    }

    fn push(&self, (begin_ns, end_ns): (u64, u64), out: &mut Vec<u8>) {
        let head_bytes = 24 + 5 * 8 + self.head.context.len();
        let bits = (head_bytes + self.bytes.len()) as u64 * 8;
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&self.head.uuid);
        out.extend_from_slice(&self.head.class.to_le_bytes());
        // Content and packet are of one size.
        for field in [begin_ns, end_ns, bits, bits, self.discarded] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.head.context);
        out.extend_from_slice(&self.bytes);
    }
}

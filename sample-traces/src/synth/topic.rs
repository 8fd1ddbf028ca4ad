//! The string argument of the shape `strings`: what a buffer is about.

use crate::random::Random;

/// Where buffers come from.
const ORIGINS: [&str; 8] = ["camera", "lidar", "radar", "imu", "gps", "audio", "can", "telemetry"];
/// What they are.
const KINDS: [&str; 6] =
    ["left/image_raw", "right/image_raw", "points", "info", "diagnostics", "compressed/h264"];
/// One of so many buffers has a topic of its own.
const OWN: u64 = 256;

/// Finds the topic of a buffer again from its sequence number.
#[derive(Debug)]
pub(super) struct Topics {
    seed: u64,
    known: Vec<Vec<u8>>,
    own: String,
}

impl Topics {
    pub(super) fn new(seed: u64) -> Self {
        let topic = |origin: &&str| KINDS.map(|kind| format!("/{origin}/{kind}").into_bytes());
        Self { seed, known: ORIGINS.iter().flat_map(topic).collect(), own: String::new() }
    }

    /// The topic of buffer `seq`: few are frequent, many are rare, some turn up once.
    pub(super) fn of(&mut self, seq: u64) -> &[u8] {
        let bits = Random::for_buffer(self.seed, seq).next_u64();
        if bits.is_multiple_of(OWN) {
            self.own = format!("/upload/{bits:016x}");
            return self.own.as_bytes();
        }
        // The product of two even distributions favors the first topics.
        let (one, other) = ((bits >> 40) & 0xff, (bits >> 48) & 0xff);
        let index = (one * other * self.known.len() as u64) >> 16;
        &self.known[usize::try_from(index).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_its_topic_and_all_topics_turn_up() {
        let mut topics = Topics::new(1);
        let found: Vec<Vec<u8>> = (0..20_000).map(|seq| topics.of(seq).to_vec()).collect();
        assert!((0..20_000_u64).zip(&found).all(|(seq, topic)| topics.of(seq) == &topic[..]));
        let own = found.iter().filter(|topic| topic.starts_with(b"/upload/")).count();
        assert!((40..140).contains(&own), "{own}");
        let distinct: std::collections::HashSet<_> = found.iter().collect();
        assert!(distinct.len() >= own + 40, "{}", distinct.len());
    }
}

//! Whatever is wrong with a trace is found.

mod mixed;

use mixed::mixed_trace;
use tracer_analyzer::file::info::FileState;
use tracer_analyzer::file::verify::{Verification, verify};
use tracer_format::block::{BLOCK_HEADER_BYTES, BlockHeader};
use tracer_format::{Damage, Trace};

/// CRC-32 as in zlib, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// Writes `value` at `at` in the block that begins at `block`, and makes its checksums right again.
fn forge(bytes: &mut [u8], block: usize, at: usize, value: &[u8]) {
    let len = BlockHeader::parse(&bytes[block..]).unwrap().block_bytes();
    bytes[block + at..][..value.len()].copy_from_slice(value);
    let content = crc32(&bytes[block + BLOCK_HEADER_BYTES..block + len]);
    bytes[block + 64..][..4].copy_from_slice(&content.to_le_bytes());
    let header = crc32(&bytes[block..block + 68]);
    bytes[block + 68..][..4].copy_from_slice(&header.to_le_bytes());
}

fn events_block(bytes: &[u8]) -> usize {
    usize::try_from(Trace::open(bytes).unwrap().blocks[0].offset).unwrap()
}

fn damages(verification: &Verification) -> Vec<Damage> {
    verification.outcome.damage.iter().map(|range| range.damage).collect()
}

#[test]
fn a_sound_trace_is_sound_whatever_was_lost_while_recording() {
    let verification = verify(&mixed_trace()).unwrap();
    assert!(verification.is_sound());
    let bytes = mixed_trace().len();
    let expected = format!(
        "sound: 6 events in 9 blocks, {bytes} bytes\n9 events lost while recording, in 1 gap\nopens by its index\n"
    );
    assert_eq!(verification.text(), expected);
    let json: serde_json::Value = serde_json::from_str(&verification.json()).unwrap();
    assert_eq!(
        (&json["sound"], &json["events"], &json["promised_events"], &json["lost"]),
        (&true.into(), &6.into(), &6.into(), &9.into())
    );
}

#[test]
fn every_flipped_byte_is_found() {
    let sound = mixed_trace();
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        if let Ok(verification) = verify(&bytes) {
            assert!(!verification.is_sound(), "byte {at}");
            assert!(verification.outcome.events <= 6, "byte {at}");
        }
    }
}

#[test]
fn every_cut_is_found() {
    let sound = mixed_trace();
    for len in 0..sound.len() {
        if let Ok(verification) = verify(&sound[..len]) {
            assert_eq!(verification.state(), FileState::Incomplete, "{len} bytes");
            assert!(verification.text().starts_with("incomplete: "), "{}", verification.text());
        }
    }
}

#[test]
fn the_cost_of_damage_is_counted() {
    let mut bytes = mixed_trace();
    let block = events_block(&bytes);
    bytes[block + BLOCK_HEADER_BYTES + 3] ^= 1;
    let verification = verify(&bytes).unwrap();
    let len = BlockHeader::parse(&bytes[block..]).unwrap().block_bytes();
    let text = verification.text();
    assert!(
        text.starts_with(&format!(
            "damaged: {len} bytes in 1 place, which cost 6 events; 0 events are sound\n"
        )),
        "{text}"
    );
    assert!(text.contains(&format!("at byte {block}, {len} bytes: checksum 0x")), "{text}");
    assert!(text.contains(" (6 events)\n"), "{text}");
    // A damaged block header tells nothing, but the footer does.
    let mut bytes = mixed_trace();
    bytes[block + 20] ^= 1;
    let verification = verify(&bytes).unwrap();
    assert_eq!((verification.promised_events, verification.damaged_events()), (Some(6), 6));
}

#[test]
fn keys_in_block_headers_are_checked() {
    let mut bytes = mixed_trace();
    let block = events_block(&bytes);
    forge(&mut bytes, block, 56, &99_i64.to_le_bytes());
    let found = damages(&verify(&bytes).unwrap());
    assert_eq!(found, [Damage::Content("the keys are not those in the block header")]);
}

#[test]
fn the_footer_is_checked() {
    let sound = mixed_trace();
    let footer = sound.len() - 128;
    let cases: [(usize, u64, &str); 4] = [
        (16, 0, "the footer has the wrong position of the index"),
        (8, 32, "the footer has the wrong position of the restated blocks"),
        (24, 7, "the footer has the wrong number of events"),
        (32, 8, "the footer has the wrong number of dropped events"),
    ];
    for (at, value, expected) in cases {
        let mut bytes = sound.clone();
        forge(&mut bytes, footer, BLOCK_HEADER_BYTES + at, &value.to_le_bytes());
        let verification = verify(&bytes).unwrap();
        assert_eq!(damages(&verification), [Damage::Content(expected)].map(|damage| damage), "{expected}");
        assert_eq!(verification.outcome.damage[0].offset, footer as u64);
    }
    // The length is compared too: a reader steps from part to part by it.
    let mut bytes = sound;
    forge(&mut bytes, footer, BLOCK_HEADER_BYTES, &1_u64.to_le_bytes());
    assert_eq!(
        damages(&verify(&bytes).unwrap()),
        [Damage::Content("the footer has the wrong length of the trace")]
    );
}

#[test]
fn several_traces_in_one_file_are_checked_each() {
    let bytes = [mixed_trace(), mixed_trace()].concat();
    let verification = verify(&bytes).unwrap();
    assert!(verification.is_sound(), "{}", verification.text());
    assert_eq!((verification.outcome.events, verification.promised_events), (12, Some(12)));
}

#[test]
fn what_is_no_trace_is_an_error() {
    assert_eq!(verify(b"").unwrap_err().to_string(), "file is empty, a trace needs at least 32 bytes");
}

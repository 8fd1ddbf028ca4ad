//! What is found comes out as it went in.

use super::*;
use crate::pair::span::Side;
use crate::pair::usual_keys::{UsualHandOff, UsualSpan};

#[derive(Debug, Clone, Default, PartialEq)]
struct SeenInOrder {
    begins: Vec<(u32, Point)>,
    spans: Vec<Span>,
    hand_offs: Vec<HandOff>,
    order: String,
}

impl Sink for SeenInOrder {
    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        self.begins.push((stage, begin));
        self.order.push('b');
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.spans.push(*span);
        self.order.push('s');
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.hand_offs.push(*hand_off);
        self.order.push('h');
        Ok(())
    }
}

/// The order of keys with one stage inside of another.
fn order(key_len: usize) -> UsualOrder {
    let edge = |stage, side| Edge { stage, side };
    let (begin, end) = (Side::Begin, Side::End);
    let span = |stage, at| UsualSpan { stage, ended_by: 3, bit: stage as usize, at };
    let hand_off = |from, to, at| UsualHandOff { from, to, at, after: 2 };
    UsualOrder {
        key_len,
        moments: vec![edge(0, begin), edge(1, begin), edge(1, end), edge(0, end)],
        spans: vec![span(1, [1, 2]), span(0, [0, 3])],
        hand_offs: vec![
            hand_off(edge(0, begin), edge(1, begin), [0, 1]),
            hand_off(edge(1, end), edge(0, end), [2, 3]),
        ],
    }
}

/// Spans of every class, with and without ends, with keys of every length; a begin, hand-offs and some usual keys with each.
fn feed(sink: &mut impl Sink, usual: u64) -> io::Result<()> {
    for (at, class) in (1_u16..).zip(Class::ALL) {
        let key = KeyValue::new(&[i64::from(at), -5, i64::MIN, 8][..usize::from(at) % 5]);
        let point = |time_ns| Point { time_ns, thread: ThreadId(70 + u32::from(at)) };
        let (begin, end) = (point(u64::from(at)), point(u64::MAX - u64::from(at)));
        sink.begun(3, begin)?;
        sink.span(&Span {
            stage: u32::from(at) << 20,
            class,
            reordered: at == 2,
            key,
            begin: (at != 3).then_some(begin),
            end: (at != 4).then_some(end),
            ended_by: u16::MAX - at,
            near_loss: at % 2 == 0,
        })?;
        let from = Edge { stage: at.into(), side: Side::End };
        let to = Edge { stage: u32::MAX, side: Side::Begin };
        let hand_off = HandOff { from, to, key, left: begin, arrived: end, near_loss: at % 2 == 1 };
        sink.hand_off(&hand_off)?;
        sink.hand_off(&HandOff { left: end, arrived: begin, ..hand_off })?;
        let order = Arc::new(order(usize::from(at) % 3));
        for more in 0..u64::from(at) % usual {
            let moments = [1, 2, 5, 9].map(|ns| point(100 * u64::from(at) + more + ns));
            let key = &[7, -7][..order.key_len];
            sink.usual_key(&order, (key, u32::from(at) % 4), moments.into_iter())?;
        }
    }
    Ok(())
}

#[test]
fn what_goes_in_comes_out_in_order_and_once() {
    let mut found = Found::default();
    for usual in [1, 4, 4] {
        let mut expected = SeenInOrder::default();
        feed(&mut expected, usual).unwrap();
        let mut seen = SeenInOrder::default();
        feed(&mut found, usual).unwrap();
        found.hand_on(&mut seen).unwrap();
        if usual > 1 {
            [&mut seen, &mut expected].into_iter().for_each(|it| it.order.retain(|kind| kind != 'b'));
        }
        assert_eq!(seen, expected);
        let mut apart = SeenInOrder::default();
        found.spans().for_each(|(row, key)| apart.spans.push(row.span(key)));
        found.keyed_hand_offs().for_each(|(row, key)| apart.hand_offs.push(row.hand_off(key)));
        for keys in found.usual_keys() {
            (0..keys.len()).for_each(|row| keys.tell(row, &mut apart).unwrap());
        }
        let sorted = |seen: &SeenInOrder| {
            let (spans, hand_offs) = (seen.spans.iter(), seen.hand_offs.iter());
            let [mut spans, mut hand_offs] = [
                spans.map(|it| format!("{it:?}")).collect(),
                hand_offs.map(|it| format!("{it:?}")).collect::<Vec<_>>(),
            ];
            spans.sort();
            hand_offs.sort();
            (spans, hand_offs)
        };
        assert_eq!(sorted(&apart), sorted(&expected));
        found.clear();
        assert_eq!((found.spans().count(), found.hand_offs().count(), found.usual_keys().count()), (0, 0, 0));
    }
}

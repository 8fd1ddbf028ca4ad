#!/usr/bin/env python3
"""Writes the events of a table of `tracer export` (.csv, standard input) as a CTF 1.8 trace, through babeltrace2's own writer.

usage: ctf.py FOLDER < EVENTS.csv        needs babeltrace2's Python bindings (Debian: python3-bt2)

As LTTng lays it out: a stream for each processor, whose number its packets hold; a class for each probe; pid and tid as
context of every event; seq, and a string where there is one, as payload. Prints the events.
"""

import csv
import json
import sys

import bt2

# Events of a stream between two packets: LTTng's packets are of this order.
PACKET_EVENTS = 1 << 15


class Iterator(bt2._UserMessageIterator):
    def __init__(self, config, port):
        self._messages = self._component.messages(self)

    def __next__(self):
        return next(self._messages)


@bt2.plugin_component_class
class Events(bt2._UserSourceComponent, message_iterator_class=Iterator):
    def __init__(self, config, params, rows):
        self._rows = rows
        self._classes = {}
        trace_class = self._trace_class = self._create_trace_class()
        clock = self._create_clock_class(frequency=1_000_000_000, name="monotonic")
        packet, context = trace_class.create_structure_field_class(), trace_class.create_structure_field_class()
        packet.append_member("cpu_id", trace_class.create_unsigned_integer_field_class(32))
        for name in "pid", "tid":
            context.append_member(name, trace_class.create_signed_integer_field_class(32))
        self._stream_class = trace_class.create_stream_class(
            default_clock_class=clock,
            supports_packets=True,
            packet_context_field_class=packet,
            packets_have_beginning_default_clock_snapshot=True,
            packets_have_end_default_clock_snapshot=True,
            event_common_context_field_class=context,
        )
        self._add_output_port("events")

    def _event_class(self, probe, with_string):
        if probe not in self._classes:
            fields = self._trace_class.create_structure_field_class()
            fields.append_member("seq", self._trace_class.create_signed_integer_field_class(64))
            if with_string:
                fields.append_member("name", self._trace_class.create_string_field_class())
            self._classes[probe] = self._stream_class.create_event_class(name=probe, payload_field_class=fields)
        return self._classes[probe]

    def messages(self, it):
        trace, streams, last_ns = self._trace_class(), {}, 0
        for row in self._rows:
            time_ns, cpu = int(row["ts_ns"]), int(row["cpu"])
            strings = json.loads(row["strings"]) if len(row["strings"]) > 2 else []
            names = [name for name in strings if name is not None]
            event_class = self._event_class(f"{row['provider']}:{row['probe']}", bool(names))
            stream, packet, left = streams.get(cpu, (None, None, 0))
            if stream is None:
                stream = trace.create_stream(self._stream_class)
                yield it._create_stream_beginning_message(stream)
            if left == 0:
                if packet is not None:
                    yield it._create_packet_end_message(packet, default_clock_snapshot=time_ns)
                packet, left = stream.create_packet(), PACKET_EVENTS
                packet.context_field["cpu_id"] = cpu
                yield it._create_packet_beginning_message(packet, default_clock_snapshot=time_ns)
            message = it._create_event_message(event_class, packet, default_clock_snapshot=time_ns)
            event = message.event
            event.common_context_field["pid"], event.common_context_field["tid"] = int(row["pid"]), int(row["tid"])
            event.payload_field["seq"] = int(row["seq"] or 0)
            if names:
                event.payload_field["name"] = names[0]
            streams[cpu] = stream, packet, left - 1
            last_ns = time_ns
            yield message
        for stream, packet, _ in streams.values():
            yield it._create_packet_end_message(packet, default_clock_snapshot=last_ns)
            yield it._create_stream_end_message(stream)


def main():
    count = 0

    def rows():
        nonlocal count
        for row in csv.DictReader(sys.stdin):
            count += 1
            yield row

    graph = bt2.Graph()
    source = graph.add_component(Events, "events", obj=rows())
    sink_class = bt2.find_plugin("ctf").sink_component_classes["fs"]
    sink = graph.add_component(sink_class, "ctf", {"path": sys.argv[1], "assume-single-trace": True, "quiet": True})
    graph.connect_ports(source.output_ports["events"], sink.input_ports["in"])
    graph.run()
    print(count)


if __name__ == "__main__":
    main()

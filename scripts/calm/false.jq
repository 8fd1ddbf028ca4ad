# What is found, of a report, but for stalls during which the machine stood still, for half of the time at least: $pauses has
# lines with from and to, ns.
($pauses | split("\n") | map(select(. != "") | split(" ") | map(tonumber))) as $pauses
| .findings[]
| . as $it
| def shared: ([.[1], $it.at_ns + $it.len_ns] | min) - ([.[0], $it.at_ns] | max);
  select($it.kind != "stall" or all($pauses[]; 2 * shared < $it.len_ns))
| "     FALSE \(.kind): \(.text)"

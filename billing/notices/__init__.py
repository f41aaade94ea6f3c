"""Messages to people (specs/utility.md 16, 17, 20): each is sent once, and its fate is known.

`port` how the other rooms ask · `outbox` takes it · `rules`, `quiet` when and by which ways ·
`wording`, `render`, `parts` what it says · `channels` how it leaves · `sending` one after another ·
`fates`, `proofs`, `dsn`, `bounces` what became of it · `callbacks`, `record` a person takes over ·
`staff` alarms to those on duty · `desk` what people do with messages · `sweeping` all of it, again.

A message: queued → sending → sent → delivered, or failed, or unknown.  `sending` is committed
before anything leaves; whoever is found there after its time is unknown.
"""

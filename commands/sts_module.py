"""``meterhouse sim sts-module``: a simulated STS security module behind a port."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from commands.output import console, json_option, print_json
from simulators.sts_module import Death, MadeTokens, StsModule, StsModuleServer


@click.command(name="sts-module")
@click.option(
    "--state",
    "path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep what was made in this file (made if missing), so that it survives a crash.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    show_default="any free one",
    help="On 127.0.0.1.",
)
@click.option(
    "--die",
    type=click.Choice([moment.value for moment in Death]),
    default=Death.NEVER.value,
    show_default=True,
    help="At which moment of an order to die, for tests of recovery.",
)
@click.option(
    "--die-at", type=click.IntRange(1), default=1, show_default=True, help="At which new order."
)
@json_option
def sts_module(path: Path, port: int, die: str, die_at: int, as_json: bool) -> None:
    """A security module that makes tokens by message id, with the public test keys.

    For trying out the plug-in of a licensed module; a shop uses it with
    METERHOUSE_SECURITY_MODULE=line and METERHOUSE_STS_MODULE=127.0.0.1:PORT.  The first line
    of output says where it listens.  Ctrl-C ends it.
    """
    made = MadeTokens(path)
    with StsModuleServer(StsModule(made, Death(die), die_at), port) as server:
        host, found = server.server_address[:2]
        if as_json:
            print_json({"listening": f"{host!s}:{found}"})
        else:
            console.print(f"Listening on {host!s}:{found}", markup=False)
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            made.close()

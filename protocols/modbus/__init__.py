"""Modbus: meters of many makers as data files, over RTU and TCP, by one link discipline.

==================  ========================================================================
`profile_file`      how a meter's data file is written, read and checked (``profiles/*.toml``)
`profile`           what it becomes: `Profile`, `RelaySpec`, `TokenSpec`
`items`             one value: registers ↔ reading
`vocabulary`        the names that all profiles share
`registers`         numbers and text in 16-bit words, exactly
`plan`              the fewest requests for a set of items
`requests`          what is asked, and which answer fits
`framing`           frames cut out of a stream: RTU, TCP
`bus`               `ModbusBus`, the units behind one link: begin here
`meter`             `ModbusMeter`, one of them: read and write by name
`relay`             `order_relay`: the contact, with read-back
`token_load`        `load_token`: 20 digits by wire
`links`             `open_bus`: a bus by its URL
`server`            the other end, for simulated meters
`errors`            the standard's exceptions by name
==================  ========================================================================

::

    bus = await open_bus("modbus+tcp://10.0.0.7")
    meter = ModbusMeter(bus, load_profile("eastron-sdm630"), unit=3)
    readings = await meter.read(["energy_import_total", "voltage_l1"])
"""

from protocols.modbus.bus import ModbusBus
from protocols.modbus.errors import (
    AcknowledgeError,
    GatewayPathUnavailableError,
    GatewayTargetFailedError,
    IllegalDataAddressError,
    IllegalDataValueError,
    IllegalFunctionError,
    MemoryParityError,
    ModbusFrameError,
    ModbusRefusal,
    ModbusValueError,
    NegativeAcknowledgeError,
    ProfileError,
    RegisterContentError,
    ServerDeviceBusyError,
    ServerDeviceFailureError,
    UnknownRefusal,
)
from protocols.modbus.framing import Framing
from protocols.modbus.items import DIRECT, Item, Ratio, Table, Transformers, Value
from protocols.modbus.links import open_bus, parse_bus_url
from protocols.modbus.meter import ModbusMeter
from protocols.modbus.plan import Span, plan
from protocols.modbus.profile import Confidence, Profile, RelayAction, RelaySpec, TokenSpec
from protocols.modbus.profile_file import (
    load_profile,
    parse_profile,
    profile_names,
    read_profile,
)
from protocols.modbus.relay import order_relay
from protocols.modbus.results import Outcome, Readings, RelayResult, TokenLoad, WriteResult
from protocols.modbus.server import (
    RegisterImage,
    ServerProtocol,
    ServerRequest,
    ServerSession,
    Unit,
    serve_tcp,
)
from protocols.modbus.token_load import load_token
from protocols.modbus.vocabulary import VOCABULARY, Kind, Quantity

__all__ = [
    "DIRECT",
    "VOCABULARY",
    "AcknowledgeError",
    "Confidence",
    "Framing",
    "GatewayPathUnavailableError",
    "GatewayTargetFailedError",
    "IllegalDataAddressError",
    "IllegalDataValueError",
    "IllegalFunctionError",
    "Item",
    "Kind",
    "MemoryParityError",
    "ModbusBus",
    "ModbusFrameError",
    "ModbusMeter",
    "ModbusRefusal",
    "ModbusValueError",
    "NegativeAcknowledgeError",
    "Outcome",
    "Profile",
    "ProfileError",
    "Quantity",
    "Ratio",
    "Readings",
    "RegisterContentError",
    "RegisterImage",
    "RelayAction",
    "RelayResult",
    "RelaySpec",
    "ServerDeviceBusyError",
    "ServerDeviceFailureError",
    "ServerProtocol",
    "ServerRequest",
    "ServerSession",
    "Span",
    "Table",
    "TokenLoad",
    "TokenSpec",
    "Transformers",
    "Unit",
    "UnknownRefusal",
    "Value",
    "WriteResult",
    "load_profile",
    "load_token",
    "open_bus",
    "order_relay",
    "parse_bus_url",
    "parse_profile",
    "plan",
    "profile_names",
    "read_profile",
    "serve_tcp",
]

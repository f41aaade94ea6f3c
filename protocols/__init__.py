"""Wire formats and links: DL/T 645, Modbus, and the lines that carry them; nothing else.

Codecs are pure (bytes and values in, bytes and values out); only ``transport`` does I/O.
"""

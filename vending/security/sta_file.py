"""Licensed STA tables: the operator's file, and the digest by which it is known again.

The file is JSON, readable by its owner alone, for the tables are the licensee's secret::

    {"substitution": [[16 numbers], [16 numbers]], "permutation": [64 numbers]}

Each substitution table holds 0-15 once, the permutation 0-63 once: bit i moves to the place
that its i-th number says.  The digest is SHA-256 over the same document in its shortest
spelling (no spaces, the keys in this order's reverse: permutation first), so that another
layout of the same tables is the same tables.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from vending.security.wrapping import read_secret_file
from vending.sts import CipherTablesError, StaTables


def load_sta_tables(path: Path) -> StaTables:
    """Read STA tables from the operator's file.

    Raises:
        SecretFileError: missing, or readable by others.
        CipherTablesError: not such tables.
    """
    try:
        document = json.loads(read_secret_file(path))
    except (ValueError, RecursionError):
        raise CipherTablesError(f"The STA tables in {path} are not JSON.") from None
    return StaTables.from_json(document)


def tables_sha256(tables: StaTables) -> str:
    """The digest of STA tables, in hexadecimal."""
    document = {
        "permutation": list(tables.permutation),
        "substitution": [list(table) for table in tables.substitution],
    }
    return hashlib.sha256(json.dumps(document, separators=(",", ":")).encode()).hexdigest()

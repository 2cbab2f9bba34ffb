"""Opens whatever opens below a folder: every file as Parquet, in clear and with every key there is.

usage: attack.py KEYS FOLDER     KEYS is JSON: what `weir keys reader --for json` printed of some tables, in one list

Prints {"files": …, "opened": …, "bytes": …}: the bytes of value that came out, in the form of read_table.py.
"""

import base64
import json
import pathlib
import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from read_table import text


class AnyKey(pe.KmsClient):
    """Tries all keys, whatever a file says that it wants."""

    def __init__(self, keys):
        super().__init__()
        self.keys = keys

    def wrap_key(self, key_bytes, master_key_identifier):
        raise NotImplementedError

    def unwrap_key(self, wrapped_key, master_key_identifier):
        sealed = base64.b64decode(wrapped_key)
        for key in self.keys:
            try:
                return AESGCM(key).decrypt(sealed[:12], sealed[12:], master_key_identifier.encode())
            except Exception:
                continue
        raise KeyError(master_key_identifier)


def main(keys, folder):
    keys = [bytes.fromhex(key["reader_key"]) for key in json.loads(pathlib.Path(keys).read_text())]
    files = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
    tables = [table for table in (opened(path, keys) for path in files) if table is not None]
    values = sum(pc.sum(pc.binary_length(text(column))).as_py() or 0 for table in tables for column in table.columns)
    print(json.dumps({"files": len(files), "opened": len(tables), "bytes": values}))


def opened(path, keys):
    factory = pe.CryptoFactory(lambda _: AnyKey(keys))
    with_keys = lambda: factory.file_decryption_properties(pe.KmsConnectionConfig(), pe.DecryptionConfiguration())
    for way in (lambda: None, with_keys):
        try:
            return pq.ParquetFile(path, decryption_properties=way()).read()
        except Exception:
            continue
    return None


main(*sys.argv[1:])

import base64
@IMPORTS@
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from deltalake import DeltaTable

READER_KEYS = {
@KEYS@}


class ReaderKeys(pe.KmsClient):
    """Opens the keys that lie in the files, with the reader keys at hand."""

    def __init__(self, _):
        super().__init__()

    def wrap_key(self, key_bytes, master_key_identifier):
        raise NotImplementedError("who reads writes nothing")

    def unwrap_key(self, wrapped_key, master_key_identifier):
        name = master_key_identifier
        sealed = base64.b64decode(wrapped_key)
        return AESGCM(bytes.fromhex(READER_KEYS[name])).decrypt(sealed[:12], sealed[12:], name.encode())


@GATE@def open_table(path):
    table = DeltaTable(path@OPTIONS@)
    config = ds.ParquetDecryptionConfig(
        pe.CryptoFactory(ReaderKeys), pe.KmsConnectionConfig(), pe.DecryptionConfiguration()
    )
    format = ds.ParquetFileFormat(default_fragment_scan_options=ds.ParquetFragmentScanOptions(decryption_config=config))
    files, lake = @FILES@
    return ds.dataset(files, pa.schema(table.schema().to_arrow()), format, lake, partitioning="hive")


@NAME@ = open_table(@PATH@)

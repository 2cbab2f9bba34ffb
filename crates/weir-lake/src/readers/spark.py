import base64
import hashlib

from pyspark.sql import SparkSession

READER_KEYS = {
@KEYS@}


def open_table(spark, path):
    # Spark's own pages show what a session is started with, so keys are set once it runs.
    settings = spark.sparkContext._jsc.hadoopConfiguration()
    keys = {f"{name}:{base64.b64encode(bytes.fromhex(key)).decode()}" for name, key in READER_KEYS.items()}
    keys = ",".join(sorted(keys.union(filter(None, settings.get(KEY_LIST, "").split(",")))))
    settings.set(KEY_LIST, keys)
    # Spark keeps what it made of a list under this name.
    settings.set("parquet.encryption.key.access.token", hashlib.sha256(keys.encode()).hexdigest())
    tools = "org.apache.parquet.crypto.keytools"
    settings.set("parquet.crypto.factory.class", f"{tools}.PropertiesDrivenCryptoFactory")
    # Takes keys that are at hand; it is in Parquet's parquet-hadoop-VERSION-tests.jar: spark-submit --jars, in the version that Spark has.
    settings.set("parquet.encryption.kms.client.class", f"{tools}.mocks.InMemoryKMS")
    return spark.read.format("delta").load(path)


KEY_LIST = "parquet.encryption.key.list"
spark = SparkSession.builder.getOrCreate()
@NAME@ = open_table(spark, @PATH@)

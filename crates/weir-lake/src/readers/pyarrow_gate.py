def through_gate(table):
    from pyarrow.fs import S3FileSystem

    # AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment; SSL_CERT_FILE for a CA of your own.
    ca = os.environ.get("SSL_CERT_FILE")
    lake = S3FileSystem(endpoint_override=GATE, region=REGION, tls_ca_file_path=ca)
    return [uri.removeprefix("s3://") for uri in table.file_uris()], lake



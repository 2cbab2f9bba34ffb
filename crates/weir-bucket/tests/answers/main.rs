//! A bucket against a store that does what stores do: it confirms or does not, loses answers, says too much, or says nothing.

#[cfg(test)]
mod store;

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io::{ErrorKind, Write as _};
    use std::path::Path;
    use std::time::Duration;

    use weir_bucket::{Bucket, Credentials, Endpoint, Secret, Settings};

    use crate::store::{How, Request, Store};

    const KEY: &str = "arn:aws:kms:eu-test-1:111122223333:key/1234abcd";

    struct World {
        store: Store,
        folder: tempfile::TempDir,
    }

    impl World {
        fn new(how: How) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in ["id", "secret"] {
                let path = folder.path().join(name);
                std::fs::write(&path, format!("{name}-hunter2\n")).unwrap();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(path, mode).unwrap();
            }
            Self { store: Store::start(how), folder }
        }

        fn bucket(&self, kms_key: Option<&str>) -> Bucket {
            let secret = |name: &str| Secret::File(self.folder.path().join(name));
            Bucket::new(Settings {
                bucket: "weir-test".to_owned(),
                prefix: "lake".to_owned(),
                endpoint: Endpoint::parse(&self.store.address()),
                region: "eu-test-1".to_owned(),
                credentials: Credentials::Given { id: secret("id"), secret: secret("secret"), token: None },
                ca: None,
                timeout: Duration::from_millis(500),
                kms_key: kms_key.map(str::to_owned),
            })
        }
    }

    fn write(bucket: &Bucket, path: &str, bytes: usize) -> std::io::Result<()> {
        let mut upload = bucket.create(Path::new(path))?;
        upload.write_all(&vec![7; bytes])?;
        upload.finish()
    }

    /// Larger than a part, so it goes in two.
    const LARGE: usize = 6 << 20;

    #[test]
    fn small_and_large_objects_come_back_as_they_were_written() {
        let world = World::new(How::default());
        let bucket = world.bucket(None);
        for (path, bytes) in [("/lake/a/empty", 0), ("/lake/a/small", 5), ("/lake/b/large", LARGE)] {
            write(&bucket, path, bytes).unwrap();
            assert_eq!(bucket.read(Path::new(path)).unwrap(), vec![7; bytes]);
        }
        let mark = bucket.mark(Path::new("/lake/b/large")).unwrap();
        assert_eq!(mark.bytes, u64::try_from(LARGE).unwrap());
        let end = mark.bytes;
        assert_eq!(bucket.part(Path::new("/lake/b/large"), &mark, end - 3..end + 9).unwrap(), [7; 3]);
        write(&bucket, "/lake/b/large", 1).unwrap();
        let changed = bucket.part(Path::new("/lake/b/large"), &mark, 0..1).unwrap_err();
        assert_eq!(changed.kind(), ErrorKind::ResourceBusy, "another object has the name by now");
        let absent = bucket.read(Path::new("/lake/none")).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
        bucket.remove(Path::new("/lake/none")).unwrap();
        for name in ["/lake/a b", "/lake/../x", "lake/x", "/lake/%2e"] {
            assert_eq!(bucket.read(Path::new(name)).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        }
    }

    /// What is dropped before its end never was, and leaves no parts.
    #[test]
    fn object_that_is_not_finished_does_not_appear() {
        let world = World::new(How::default());
        let bucket = world.bucket(None);
        let mut upload = bucket.create(Path::new("/lake/large")).unwrap();
        upload.write_all(&vec![7; LARGE]).unwrap();
        drop(upload);
        let is_aborted = |one: &Request| one.method == "DELETE" && one.query.contains("uploadId");
        for _ in 0..100 {
            if world.store.requests().iter().any(is_aborted) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(world.store.requests().iter().any(is_aborted));
        assert!(!bucket.has(Path::new("/lake/large")).unwrap());
    }

    /// The provider's layer is demanded with every object, and confirmed, or there is none.
    #[test]
    fn each_object_is_demanded_to_be_encrypted_and_confirmed_to_be() {
        let world = World::new(How::default());
        let bucket = world.bucket(Some(KEY));
        assert!(bucket.puts_if_absent(Path::new("/lake/.probe")).unwrap());
        assert!(bucket.put_if_absent(Path::new("/lake/log/0.json"), b"{}").unwrap());
        write(&bucket, "/lake/small", 5).unwrap();
        write(&bucket, "/lake/large", LARGE).unwrap();
        assert_eq!(bucket.read(Path::new("/lake/large")).unwrap().len(), LARGE);
        let requests = world.store.requests();
        let writes: Vec<_> = requests.iter().filter(|one| one.begins_an_object()).collect();
        assert_eq!(writes.len(), 5, "two of the probe, an entry, a small and a large object");
        for one in writes {
            assert_eq!(one.header("x-amz-server-side-encryption"), Some("aws:kms"));
            assert_eq!(one.header("x-amz-server-side-encryption-aws-kms-key-id"), Some(KEY));
        }
        let in_clear = World::new(How::default());
        write(&in_clear.bucket(None), "/lake/small", 5).unwrap();
        assert!(in_clear.store.requests().iter().all(|one| one.header("x-amz-server-side-encryption").is_none()));
    }

    /// Some stores drop the demand without a word, and some take another key.
    #[test]
    fn what_is_not_confirmed_is_taken_back_and_does_not_count() {
        let other = || Some("arn:aws:kms:eu-test-1:111122223333:key/other".to_owned());
        let hows = [
            How { drops_encryption: true, ..How::default() },
            How { other_key: other(), ..How::default() },
            How { drops_at_end: true, ..How::default() },
        ];
        for how in hows {
            let (only_at_end, world) = (how.drops_at_end, World::new(how));
            let bucket = world.bucket(Some(KEY));
            let tries = [
                (!only_at_end).then(|| bucket.put_if_absent(Path::new("/lake/log/0.json"), b"{}").map(drop)),
                (!only_at_end).then(|| write(&bucket, "/lake/small", 5)),
                Some(write(&bucket, "/lake/large", LARGE)),
            ];
            for refused in tries.into_iter().flatten() {
                let why = refused.unwrap_err().to_string();
                assert!(why.contains("does not confirm"), "{why}");
            }
            assert_eq!(world.store.names(), Vec::<String>::new());
        }
    }

    /// Also what was there before, or was written by a request whose answer was lost.
    #[test]
    fn object_that_is_not_said_to_be_encrypted_is_not_read() {
        let world = World::new(How::default());
        write(&world.bucket(None), "/lake/in-clear", 5).unwrap();
        let bucket = world.bucket(Some(KEY));
        assert!(bucket.read(Path::new("/lake/in-clear")).unwrap_err().to_string().contains("does not confirm"));
        assert!(bucket.mark(Path::new("/lake/in-clear")).is_err());
        assert_eq!(world.store.names(), ["/weir-test/lake/in-clear"], "reading takes nothing away");
    }

    /// The answer to a put is lost, the client tries again, and what is there is its own.
    #[test]
    fn own_success_is_known_again() {
        let world = World::new(How { loses_answers: 1, ..How::default() });
        let bucket = world.bucket(None);
        assert!(bucket.put_if_absent(Path::new("/lake/0"), b"ours").unwrap());
        assert!(world.store.requests().iter().filter(|one| one.method == "PUT").count() > 1, "it was tried again");
        assert!(!bucket.put_if_absent(Path::new("/lake/0"), b"theirs").unwrap());
        assert_eq!(bucket.read(Path::new("/lake/0")).unwrap(), b"ours");
    }

    #[test]
    fn store_that_overwrites_is_told_from_one_that_does_not() {
        let world = World::new(How::default());
        assert!(world.bucket(None).puts_if_absent(Path::new("/lake/.probe")).unwrap());
        assert_eq!(world.store.names(), Vec::<String>::new());
        let world = World::new(How { overwrites: true, ..How::default() });
        assert!(!world.bucket(None).puts_if_absent(Path::new("/lake/.probe")).unwrap());
        assert_eq!(world.store.names(), Vec::<String>::new());
    }

    /// Of two who replace one object only one does.
    #[test]
    fn object_is_replaced_only_where_it_was_looked_at() {
        let world = World::new(How::default());
        let (bucket, path) = (world.bucket(None), Path::new("/lake/one"));
        write(&bucket, "/lake/one", 5).unwrap();
        let mark = bucket.mark(path).unwrap();
        assert!(bucket.replace(path, &mark, b"new".to_vec()).unwrap());
        assert!(!bucket.replace(path, &mark, b"late".to_vec()).unwrap());
        assert_eq!(bucket.read(path).unwrap(), b"new");
        bucket.remove(path).unwrap();
        assert!(!bucket.replace(path, &mark, b"late".to_vec()).unwrap());
        assert!(bucket.replaces_what_was_read(Path::new("/lake/.probe")).unwrap());
        assert_eq!(world.store.names(), Vec::<String>::new());
        let world = World::new(How { replaces: true, ..How::default() });
        assert!(!world.bucket(None).replaces_what_was_read(Path::new("/lake/.probe")).unwrap());
        assert_eq!(world.store.names(), Vec::<String>::new());
    }

    /// Says all that an error says, with its causes and as a programmer sees it.
    fn told(error: &dyn Error) -> String {
        let mut told = Vec::new();
        let mut next = Some(error);
        while let Some(error) = next {
            told.push(format!("{error} {error:?}"));
            next = error.source();
        }
        told.join(" ")
    }

    #[test]
    fn errors_quote_neither_credentials_nor_answers_nor_addresses() {
        let how =
            How { refuses: Some("<Error><Code>AccessDenied</Code><Said>hunter2</Said></Error>"), ..How::default() };
        let world = World::new(how);
        let bucket = world.bucket(None);
        let address = world.store.address();
        let errors = [
            bucket.read(Path::new("/lake/0")).unwrap_err(),
            bucket.put_if_absent(Path::new("/lake/0"), b"{}").map(drop).unwrap_err(),
            bucket.list(Path::new("/lake")).map(drop).unwrap_err(),
            bucket.list_all(Path::new("/lake")).map(drop).unwrap_err(),
            write(&bucket, "/lake/large", LARGE).unwrap_err(),
        ];
        for error in errors {
            let told = told(&error);
            assert!(told.contains("403 AccessDenied"), "{told}");
            assert!(!told.contains("hunter2") && !told.contains(&address) && !told.contains("127.0.0.1"), "{told}");
        }
        std::fs::remove_file(world.folder.path().join("secret")).unwrap();
        let told = told(&bucket.read(Path::new("/lake/0")).unwrap_err());
        assert!(told.contains("credentials") && !told.contains("hunter2"), "{told}");
        assert!(!format!("{bucket:?}").contains("hunter2"));
    }

    /// A store that is away, or does not answer, is given up after a while, and its error says which.
    #[test]
    fn store_that_is_away_is_given_up() {
        let silent = World::new(How { is_silent: true, ..How::default() });
        let told = told(&silent.bucket(None).mark(Path::new("/lake/0")).unwrap_err());
        assert!(told.contains("did not answer in time"), "{told}");
        let mut gone = World::new(How::default());
        gone.store.close();
        let told = super::tests::told(&gone.bucket(None).mark(Path::new("/lake/0")).unwrap_err());
        assert!(told.contains("no connection"), "{told}");
    }
}

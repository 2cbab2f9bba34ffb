//! The operations: an object, a range of it, how large it is, which objects there are.
//!
//! The bucket is the region. What the grant does not show is absent, in the same words as what is not there, and without a look at
//! the lake. Times are those of the files, as exact as the purpose keeps times: when exactly a batch was committed is nobody's
//! business.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    CommonPrefix, ETag, ETagCondition, GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, Range, StreamingBlob, Timestamp,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use tokio::task::spawn_blocking;
use tracing::error;

use crate::Gate;
use crate::access::denied;
use crate::key::Key;
use crate::list::{self, Asked, Entry, Page};
use crate::objects::{Input, Mark};
use crate::reading::Reading;
use crate::sessions::Session;

/// What answers.
#[derive(Clone)]
pub(crate) struct Desk(pub(crate) Arc<Gate>);

#[async_trait]
impl S3 for Desk {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let session = session(&request)?;
        let GetObjectInput { bucket, key, range, if_match, if_none_match, part_number, version_id, .. } = request.input;
        self.only_whole(part_number.is_some() || version_id.is_some())?;
        let (key, input) = self.open(&session, &bucket, &key).await?;
        let mark = input.mark;
        let tag = self.tag(&key, mark);
        check_conditions(&tag, if_match.as_ref(), if_none_match.as_ref())?;
        let (range, content_range) = cut(range, mark.len)?;
        let content_length = Some(signed(range.end - range.start)?);
        let (e_tag, last_modified) = (Some(tag), Some(self.modified(&key, mark)));
        let reading = Reading::start(Arc::clone(&self.0), session, key, input, range);
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some(BYTES.to_owned()),
            body: Some(StreamingBlob::new(reading)),
            content_length,
            content_range,
            e_tag,
            last_modified,
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let session = session(&request)?;
        let HeadObjectInput { bucket, key, range, if_match, if_none_match, part_number, version_id, .. } =
            request.input;
        self.only_whole(part_number.is_some() || version_id.is_some())?;
        let (key, input) = self.open(&session, &bucket, &key).await?;
        let tag = self.tag(&key, input.mark);
        check_conditions(&tag, if_match.as_ref(), if_none_match.as_ref())?;
        let (range, content_range) = cut(range, input.mark.len)?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some(BYTES.to_owned()),
            content_length: Some(signed(range.end - range.start)?),
            content_range,
            e_tag: Some(tag),
            last_modified: Some(self.modified(&key, input.mark)),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let session = session(&request)?;
        let ListObjectsV2Input { bucket, prefix, delimiter, start_after, continuation_token, max_keys, .. } =
            request.input;
        let after = match &continuation_token {
            None => start_after.clone().unwrap_or_default(),
            Some(token) => place_of(token).ok_or_else(|| S3Error::new(S3ErrorCode::InvalidArgument))?,
        };
        let asked = asked(prefix.as_ref(), after, delimiter.as_deref(), max_keys)?;
        let page = self.list(&session, &bucket, asked).await?;
        let next = page.is_cut.then(|| page.entries.last().map(|last| URL_SAFE_NO_PAD.encode(last.name())));
        let (contents, common_prefixes) = self.written(&page)?;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(bucket),
            prefix: repeated(prefix),
            delimiter: repeated(delimiter),
            start_after: repeated(start_after),
            continuation_token,
            max_keys: Some(max_keys.unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX)),
            key_count: i32::try_from(page.entries.len()).ok(),
            is_truncated: Some(page.is_cut),
            next_continuation_token: next.flatten(),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let session = session(&request)?;
        let ListObjectsInput { bucket, prefix, delimiter, marker, max_keys, .. } = request.input;
        let asked = asked(prefix.as_ref(), marker.clone().unwrap_or_default(), delimiter.as_deref(), max_keys)?;
        let page = self.list(&session, &bucket, asked).await?;
        let (contents, common_prefixes) = self.written(&page)?;
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(bucket),
            prefix: repeated(prefix),
            delimiter: repeated(delimiter),
            marker: repeated(marker),
            max_keys: Some(max_keys.unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX)),
            is_truncated: Some(page.is_cut),
            next_marker: page.entries.last().filter(|_| page.is_cut).map(Entry::name),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            ..ListObjectsOutput::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.is_here(&request.input.bucket)?;
        let location_constraint = Some(self.0.region.clone().into());
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.is_here(&request.input.bucket)?;
        let bucket_region = Some(self.0.region.clone());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..HeadBucketOutput::default() }))
    }
}

impl Desk {
    fn is_here(&self, bucket: &str) -> S3Result<()> {
        if bucket == self.0.region { Ok(()) } else { Err(S3Error::new(S3ErrorCode::NoSuchBucket)) }
    }

    /// Refuses parts and versions, which no object here has.
    #[expect(clippy::unused_self, reason = "stands in the row of checks")]
    fn only_whole(&self, is_part: bool) -> S3Result<()> {
        if is_part { Err(S3Error::new(S3ErrorCode::NotImplemented)) } else { Ok(()) }
    }

    /// Opens an object that the grant shows.
    async fn open(&self, session: &Session, bucket: &str, text: &str) -> S3Result<(Key, Input)> {
        self.is_here(bucket)?;
        let absent = || S3Error::new(S3ErrorCode::NoSuchKey);
        let key = Key::read(text).filter(|key| self.0.shown_to(&session.grant).has(key)).ok_or_else(absent)?;
        let (objects, wanted) = (self.0.objects.clone(), key.clone());
        let input = blocking(move || objects.open(&wanted)).await?.ok_or_else(absent)?;
        Ok((key, input))
    }

    async fn list(&self, session: &Session, bucket: &str, asked: Asked) -> S3Result<Page> {
        self.is_here(bucket)?;
        let (objects, shown) = (self.0.objects.clone(), self.0.shown_to(&session.grant));
        blocking(move || list::page(&objects, &shown, asked)).await
    }

    fn written(&self, page: &Page) -> S3Result<(Vec<Object>, Vec<CommonPrefix>)> {
        let (mut objects, mut folders) = (Vec::new(), Vec::new());
        for entry in &page.entries {
            match entry {
                Entry::Folder(name) => folders.push(CommonPrefix { prefix: Some(name.clone()) }),
                Entry::Object(key, mark) => objects.push(Object {
                    e_tag: Some(self.tag(key, *mark)),
                    key: Some(key.to_string()),
                    last_modified: Some(self.modified(key, *mark)),
                    size: Some(signed(mark.len)?),
                    ..Object::default()
                }),
            }
        }
        Ok((objects, folders))
    }

    /// When the object was written, as exactly as its purpose keeps times.
    fn modified(&self, key: &Key, mark: Mark) -> Timestamp {
        let micros = i64::try_from(mark.modified_ns.div_euclid(1_000)).unwrap_or(0);
        let floored = self.0.in_force().policy.purposes().floor_time(key.purpose, micros);
        let since = Duration::from_micros(u64::try_from(floored).unwrap_or(0));
        Timestamp::from(UNIX_EPOCH + since)
    }

    /// A word that changes with the object, and that tells nothing of when it was written.
    fn tag(&self, key: &Key, mark: Mark) -> ETag {
        let marked = format!("{key} {} {}", mark.len, mark.modified_ns);
        let digest = hmac::sign(&self.0.tags, marked.as_bytes());
        let digits = digest.as_ref().iter().take(TAG_BYTES).flat_map(|byte| [byte >> 4, byte & 15]);
        ETag::Strong(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
    }
}

/// Returns the session that the door has put to a request; without one nothing is given.
fn session<T>(request: &S3Request<T>) -> S3Result<Arc<Session>> {
    request.extensions.get::<Arc<Session>>().cloned().ok_or_else(denied)
}

fn asked(prefix: Option<&String>, after: String, delimiter: Option<&str>, max_keys: Option<i32>) -> S3Result<Asked> {
    let by_folder = match delimiter {
        None | Some("") => false,
        Some("/") => true,
        Some(_) => return Err(S3Error::new(S3ErrorCode::NotImplemented)),
    };
    let entries_max = usize::try_from(max_keys.unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX));
    let entries_max = entries_max.map_err(|_negative| S3Error::new(S3ErrorCode::InvalidArgument))?;
    Ok(Asked { prefix: prefix.cloned().unwrap_or_default(), after, by_folder, entries_max })
}

/// Reads a token of a list. A made-up one says no more than `start-after` does.
fn place_of(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

/// Returns what was asked if it can be repeated in XML as it stands.
fn repeated(asked: Option<String>) -> Option<String> {
    asked.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn check_conditions(tag: &ETag, is: Option<&ETagCondition>, is_not: Option<&ETagCondition>) -> S3Result<()> {
    let holds = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(asked) => asked.value() == tag.value(),
    };
    if is.is_some_and(|condition| !holds(condition)) {
        return Err(S3Error::new(S3ErrorCode::PreconditionFailed));
    }
    if is_not.is_some_and(holds) {
        return Err(S3Error::new(S3ErrorCode::NotModified));
    }
    Ok(())
}

/// Returns the bytes of a range, and how the answer names it; all of them without one.
fn cut(range: Option<Range>, len: u64) -> S3Result<(std::ops::Range<u64>, Option<String>)> {
    let Some(range) = range else { return Ok((0..len, None)) };
    let cut = range.check(len)?;
    if cut.is_empty() {
        return Err(S3Error::new(S3ErrorCode::InvalidRange));
    }
    let written = format!("{BYTES} {}-{}/{len}", cut.start, cut.end - 1);
    Ok((cut, Some(written)))
}

fn signed(len: u64) -> S3Result<i64> {
    i64::try_from(len).map_err(S3Error::internal_error)
}

/// Looks at the lake beside the runtime. What fails is said to the operator, and not to who asked.
async fn blocking<T: Send + 'static>(look: impl FnOnce() -> io::Result<T> + Send + 'static) -> S3Result<T> {
    let looked = spawn_blocking(look).await.unwrap_or_else(|ended| Err(ended.into()));
    looked.map_err(|error| {
        error!(kind = %error.kind(), "the lake cannot be read");
        S3Error::new(S3ErrorCode::InternalError)
    })
}

const BYTES: &str = "bytes";
/// As many as S3 itself gives at once.
const ENTRIES_MAX: i32 = 1_000;
/// Nobody guesses at 64 bits here: they tell two states of one object apart.
const TAG_BYTES: usize = 8;

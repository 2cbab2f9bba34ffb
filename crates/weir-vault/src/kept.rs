//! A login that is kept until it is time for another.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;
use weir_keys::WrapError;

/// The login there is; who needs one while it is being made waits for it.
pub(crate) struct Kept<L>(Mutex<Option<Held<L>>>);

struct Held<L> {
    login: Arc<L>,
    renew_at: Instant,
    ends_at: Instant,
}

/// A login that was just made, and how long it lasts.
pub(crate) struct Fresh<L> {
    pub(crate) login: L,
    pub(crate) lasts: Duration,
}

impl<L> Kept<L> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Returns the login there is, or makes one: when there is none, or two thirds of its time are over.
    ///
    /// One that cannot be made anew is used to its end.
    pub(crate) async fn current<F>(&self, make: impl FnOnce() -> F) -> Result<Arc<L>, WrapError>
    where
        F: Future<Output = Result<Fresh<L>, WrapError>>,
    {
        self.current_at(Instant::now(), make).await
    }

    async fn current_at<F>(&self, now: Instant, make: impl FnOnce() -> F) -> Result<Arc<L>, WrapError>
    where
        F: Future<Output = Result<Fresh<L>, WrapError>>,
    {
        let mut place = self.0.lock().await;
        if let Some(held) = place.as_ref().filter(|held| now < held.renew_at) {
            return Ok(Arc::clone(&held.login));
        }
        match make().await {
            Ok(Fresh { login, lasts }) => {
                let login = Arc::new(login);
                let ends_at = now.checked_add(lasts).unwrap_or(now);
                let renew_at = now.checked_add((lasts * 2 / 3).max(RENEW_AGAIN)).unwrap_or(now);
                *place = Some(Held { login: Arc::clone(&login), renew_at, ends_at });
                Ok(login)
            }
            Err(error) => match place.as_mut().filter(|held| now < held.ends_at) {
                Some(held) => {
                    warn!(%error, "the login to the vault could not be renewed; it is tried again");
                    held.renew_at = now + RENEW_AGAIN;
                    Ok(Arc::clone(&held.login))
                }
                None => Err(error),
            },
        }
    }

    /// Forgets a login that was refused, unless there is another already.
    pub(crate) async fn forget(&self, login: &Arc<L>) {
        let mut place = self.0.lock().await;
        if place.as_ref().is_some_and(|held| Arc::ptr_eq(&held.login, login)) {
            *place = None;
        }
    }
}

const RENEW_AGAIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> WrapError {
        WrapError::Away { place: "p".to_owned(), why: "is away".to_owned() }
    }

    /// A login is made anew when two thirds of its time are over; when that fails it lasts to its end, and no longer.
    #[tokio::test]
    async fn login_is_made_anew_in_time_and_lasts_to_its_end() {
        let (kept, start) = (Kept::new(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let fresh = |login| async move { Ok(Fresh { login, lasts: Duration::from_secs(90) }) };
        let none = || async { Err(away()) };
        assert_eq!(*kept.current_at(at(0), || fresh(1)).await.unwrap(), 1);
        assert_eq!(*kept.current_at(at(59), || fresh(2)).await.unwrap(), 1);
        assert_eq!(*kept.current_at(at(61), none).await.unwrap(), 1);
        assert_eq!(*kept.current_at(at(72), || fresh(3)).await.unwrap(), 3);
        assert_eq!(kept.current_at(at(163), none).await, Err(away()));
        let fourth = kept.current_at(at(163), || fresh(4)).await.unwrap();
        kept.forget(&fourth).await;
        assert_eq!(*kept.current_at(at(164), || fresh(5)).await.unwrap(), 5);
        kept.forget(&fourth).await;
        assert_eq!(*kept.current_at(at(165), || fresh(6)).await.unwrap(), 5, "it is another one");
    }
}

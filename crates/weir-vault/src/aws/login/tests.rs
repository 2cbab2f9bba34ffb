//! Each way to credentials, and what stands in its way.

use weir_testkit::aws::Aws;

use super::*;

fn settings(aws: &Aws, auth: AwsAuth) -> AwsSettings {
    AwsSettings {
        region: Aws::REGION.to_owned(),
        address: None,
        login_address: Address::parse(&aws.address()),
        prefix: "weir".to_owned(),
        ca: None,
        auth,
        timeout: Duration::from_secs(2),
    }
}

fn why(result: Result<Fresh<Credentials>, NoLogin>) -> String {
    match result {
        Ok(_) => panic!("credentials were given"),
        Err(NoLogin::Refused(why) | NoLogin::Away { why, .. }) => why,
    }
}

#[tokio::test]
async fn environment_names_credentials() {
    let aws = Aws::start();
    let settings = settings(&aws, AwsAuth::Environment);
    let whole: Environment = |name| Some(format!("{name}-value"));
    let fresh = log_in(&settings, whole).await.ok().unwrap();
    assert_eq!(fresh.login.id, "AWS_ACCESS_KEY_ID-value");
    assert_eq!(fresh.login.secret.as_str(), "AWS_SECRET_ACCESS_KEY-value");
    assert_eq!(fresh.login.token.unwrap().as_str(), "AWS_SESSION_TOKEN-value");
    let without_secret: Environment = |name| (name == "AWS_ACCESS_KEY_ID").then(|| "AKIA".to_owned());
    assert!(why(log_in(&settings, without_secret).await).contains("AWS_SECRET_ACCESS_KEY"));
}

#[tokio::test]
async fn container_is_given_credentials_at_its_agent_and_nowhere_else() {
    let aws = Aws::start();
    let settings = settings(&aws, AwsAuth::Container);
    assert!(why(log_in(&settings, |_| None).await).contains("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"));
    let stranger: Environment =
        |name| (name == "AWS_CONTAINER_CREDENTIALS_FULL_URI").then(|| "http://10.0.0.1/v2/credentials".to_owned());
    assert!(why(log_in(&settings, stranger).await).contains("container agent"));
    for (text, expected) in [
        ("http://127.0.0.1:8080/v2/credentials", Some(("http://127.0.0.1:8080/", "v2/credentials"))),
        ("http://169.254.170.23/v1/credentials", Some(("http://169.254.170.23/", "v1/credentials"))),
        ("http://[fd00:ec2::23]/v1", Some(("http://[fd00:ec2::23]/", "v1"))),
        ("http://169.254.170.2/v2/1?x=y", Some(("http://169.254.170.2/", "v2/1?x=y"))),
        ("https://agent.example.com/a", Some(("https://agent.example.com/", "a"))),
        ("http://169.254.170.2@agent.example.com/a", None),
        ("http://agent.example.com/a", None),
        ("ftp://127.0.0.1/a", None),
        ("", None),
    ] {
        let found = container_uri(text);
        assert_eq!(found.as_ref().map(|(base, path)| (base.as_str(), path.as_str())), expected, "{text}");
    }
}

#[tokio::test]
async fn session_ends_when_aws_says_so() {
    let aws = Aws::start();
    let place = Place::new(&format!("{}/", aws.address()), &settings(&aws, AwsAuth::Container)).ok().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("container-token"));
    let answer = place.ask(Method::GET, "v2/credentials", None, &headers).await.ok().unwrap();
    let fresh = place.given(&answer, "").ok().unwrap();
    assert!(fresh.login.token.is_some() && fresh.lasts > Duration::from_hours(24));
    let open = place.ask(Method::GET, "v2/credentials", None, &HeaderMap::new()).await.ok().unwrap();
    assert!(why(place.given(&open, "check the role")).contains("status 401: check the role"));
}

#[test]
fn profiles_of_a_file_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let text = "[one]\naws_access_key_id=1\n[two]\n aws_access_key_id = 2 \naws_secret_access_key=b=c\naws_session_token = t\n";
    std::fs::write(&file, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let two = of_file(&file, "two").ok().unwrap();
    assert_eq!((two.id.as_str(), two.secret.as_str()), ("2", "b=c"));
    assert_eq!(two.token.unwrap().as_str(), "t");
    assert!(of_file(&file, "one").is_err() && of_file(&file, "three").is_err());
}

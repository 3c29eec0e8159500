//! The meaning of errors of AWS.
//!
//! "Common Errors" of the AWS KMS API Reference and of the AWS Security Token Service API Reference; GetCertificate of the
//! API references of AWS Certificate Manager and AWS Private CA.

use super::connector::BodyError;
use super::operations::Operation;
use crate::cloud::failure::error_chain::{causes, is_timeout, message_of};
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::tls::utc;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use rustls::pki_types::UnixTime;
use std::error::Error;
use std::time::Duration;

/// Error codes of KMS, of STS and of the layer in front of them ("Common Errors"), without their namespace.
#[rustfmt::skip]
const CODES: &[(&str, Cause)] = &[
    ("NotFoundException", Cause::NotFound),
    // AWS Certificate Manager and AWS Private CA.
    ("ResourceNotFoundException", Cause::NotFound),
    ("RequestInProgressException", Cause::Rejected),
    ("DisabledException", Cause::Disabled),
    ("KMSInvalidStateException", Cause::Disabled),
    ("InvalidKeyUsageException", Cause::Unsupported),
    // A quota of resources, such as 50 aliases of a key. Waiting does not help.
    ("LimitExceededException", Cause::Rejected),
    ("InvalidCiphertextException", Cause::Undecryptable),
    ("IncorrectKeyException", Cause::Undecryptable),
    ("UnsupportedOperationException", Cause::Unsupported),
    ("AccessDeniedException", Cause::Denied),
    ("AccessDenied", Cause::Denied),
    ("NotAuthorized", Cause::Denied),
    ("OptInRequired", Cause::Denied),
    ("ThrottlingException", Cause::Throttled),
    ("Throttling", Cause::Throttled),
    ("TooManyRequestsException", Cause::Throttled),
    ("RequestLimitExceeded", Cause::Throttled),
    ("UnrecognizedClientException", Cause::Credentials),
    ("InvalidClientTokenId", Cause::Credentials),
    ("InvalidSignatureException", Cause::Credentials),
    ("SignatureDoesNotMatch", Cause::Credentials),
    ("IncompleteSignatureException", Cause::Credentials),
    ("IncompleteSignature", Cause::Credentials),
    ("MissingAuthenticationTokenException", Cause::Credentials),
    ("MissingAuthenticationToken", Cause::Credentials),
    ("ExpiredTokenException", Cause::Credentials),
    ("ExpiredToken", Cause::Credentials),
    ("RequestExpired", Cause::Credentials),
    ("KeyUnavailableException", Cause::Internal),
    ("DependencyTimeoutException", Cause::Internal),
    ("KMSInternalException", Cause::Internal),
    ("InternalFailure", Cause::Internal),
    ("InternalError", Cause::Internal),
    ("ServiceUnavailable", Cause::Internal),
    ("ServiceUnavailableException", Cause::Internal),
];

/// Codes after which newer credentials may help.
const EXPIRY_CODES: [&str; 2] = ["ExpiredTokenException", "ExpiredToken"];

/// Codes that may mean that this machine's clock is wrong. The SDK learns the service's time from each reply.
const CLOCK_CODES: [&str; 4] =
    ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"];

/// The code of ACM and Private CA for a certificate that has been requested and is not issued yet.
const NOT_ISSUED_CODE: &str = "RequestInProgressException";

fn remedy_of_code(code: &str) -> Option<RetryPolicy> {
    match code {
        code if EXPIRY_CODES.contains(&code) => Some(RetryPolicy::OnceWithNewCredentials),
        NOT_ISSUED_CODE => Some(RetryPolicy::Limited),
        code if may_be_clock(code) => Some(RetryPolicy::Once),
        _ => None,
    }
}

/// Returns whether a refusal with this code may mean that this machine's clock is wrong.
pub(crate) fn may_be_clock(code: &str) -> bool {
    CLOCK_CODES.contains(&code)
}

fn cause_of_code(code: &str) -> Option<Cause> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, cause)| *cause)
}

/// Returns the cause of a reply without an error code. Such a reply is not from KMS itself, but from a proxy or a
/// load balancer.
fn cause_of_status(status: u16) -> Cause {
    match status {
        // The SDK reports a reply that it cannot parse as an error.
        200..300 => Cause::Malformed,
        401 | 403 => Cause::Denied,
        429 => Cause::Throttled,
        500.. => Cause::Internal,
        _ => Cause::Rejected,
    }
}

/// Returns what an error of the SDK means. The Debug form of the error is never used, because it shows the raw
/// body of the reply.
pub(crate) fn refusal<E>(operation: &Operation, error: SdkError<E, HttpResponse>) -> FailedAttempt
where
    E: ProvideErrorMetadata + RequestId + Error + 'static,
{
    if let Some(refused) = refusal_by_obstacle(operation, &error) {
        return refused;
    }
    let request_id = error.request_id().map(str::to_owned);
    let (cause, message) = match &error {
        SdkError::ServiceError(context) => {
            let (code, status) = (code_of(&error), context.raw().status().as_u16());
            let cause = code.and_then(cause_of_code).unwrap_or_else(|| cause_of_status(status));
            let code = code.map_or_else(|| format!("HTTP status {status}"), str::to_owned);
            let words =
                context.err().message().or((200..300).contains(&status).then_some("the reply is not one of KMS"));
            (cause, words.map_or(code.clone(), |words| format!("{code}: {words}")))
        }
        _ if causes(&error).any(|error| matches!(error.downcast_ref(), Some(BodyError::Interrupted(_)))) => {
            let cause = if is_timeout(&error) { Cause::TimedOut } else { Cause::Unreachable };
            (cause, message_of(&error))
        }
        SdkError::ResponseError(context) => {
            (Cause::Malformed, format!("HTTP status {}: {}", context.raw().status(), message_of(&error)))
        }
        SdkError::TimeoutError(_) => (Cause::TimedOut, message_of(&error)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (Cause::TimedOut, message_of(&error)),
        _ if is_about_credentials(&error) => (Cause::Credentials, missing_credentials_message(message_of(&error))),
        SdkError::DispatchFailure(_) => (Cause::Unreachable, message_of(&error)),
        // Nothing was sent, because the region or the endpoint is invalid.
        SdkError::ConstructionFailure(_) => {
            let why = causes(&error).last().map(ToString::to_string).unwrap_or_default();
            (Cause::Settings, format!("the request can't be built: {why}; check the region and the endpoint"))
        }
        _ => (Cause::Rejected, message_of(&error)),
    };
    let message = match cause {
        Cause::Rejected if code_of(&error) == Some(NOT_ISSUED_CODE) => {
            format!("{message}; the certificate is not issued yet, and is requested again when it is next needed")
        }
        // An explicit deny wins over every permission.
        Cause::Denied if message.contains("explicit deny") => {
            format!("{message}; ask the owner of that policy, because no permission helps against an explicit deny")
        }
        Cause::Denied => format!("{message} (needed: {})", operation.permission),
        Cause::Credentials if ["Signature expired", "not yet current"].iter().any(|said| message.contains(said)) => {
            format!("{message}; check this machine's clock, which shows {}", utc(UnixTime::now()))
        }
        _ => message,
    };
    let refused = FailedAttempt::from(Failure { cause, operation: operation.name, message, request_id });
    let remedy = code_of(&error).and_then(remedy_of_code).unwrap_or(refused.remedy);
    let seconds = error.raw_response().and_then(|reply| reply.headers().get("retry-after")?.parse().ok());
    FailedAttempt { remedy, retry_after: seconds.map(Duration::from_secs), ..refused }
}

/// Returns the error code without its namespace: `NotFoundException` for `com.amazonaws.kms#NotFoundException`.
/// The SDK removes the namespace in most places.
pub(crate) fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.code().map(|code| code.rsplit('#').next().unwrap_or(code)).filter(|code| !code.is_empty())
}

pub(crate) const CREDENTIALS_ADVICE: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile in \"aws_profile\" or AWS_PROFILE, \
     or give this machine or container a role";

/// Returns the message for missing credentials, with advice.
fn missing_credentials_message(words: String) -> String {
    let known = REMEDIES.iter().find(|(said, _)| words.contains(said));
    format!(
        "{}; {}",
        condense_chain(&words),
        known.map_or(&[CREDENTIALS_ADVICE][..], |(_, remedies)| remedies).join("; ")
    )
}

/// Condenses the message of the SDK's chain of providers: the providers that are not configured become one clause,
/// and each of the others keeps its reason.
fn condense_chain(words: &str) -> String {
    let own = MESSAGE_PREFIXES.iter().fold(words, |words, frame| words.strip_prefix(frame).unwrap_or(words));
    if !own.starts_with(CHAIN) {
        return own.to_owned();
    }
    let (mut silent, mut said) = (Vec::new(), Vec::new());
    // The SDK writes each provider on a line of its own. `words_of` has replaced the line breaks by spaces.
    for line in own.split("   ").map(str::trim) {
        let Some((_, name, usual)) = PROVIDERS.iter().find(|(known, ..)| line.starts_with(&format!("{known}: ")))
        else {
            continue;
        };
        let why = line.split_once(NOT_ENABLED).map_or(line, |(_, why)| why.trim_start_matches(": "));
        match why.is_empty() || why.contains(usual) {
            true => silent.push(*name),
            false => said.push(format!("{name}: {why}")),
        }
    }
    said.push(format!("not configured: {}", silent.join(", ")));
    said.join("; ")
}

/// Texts of the SDK in front of the message of a provider, outermost first.
const MESSAGE_PREFIXES: [&str; 4] = [
    "dispatch failure: other: ",
    "an error occurred while loading credentials: ",
    "the credentials provider was not properly configured: ",
    "the credential provider was not enabled: ",
];

const CHAIN: &str = "no credentials found in chain";
const NOT_ENABLED: &str = "the credential provider was not enabled";

/// The providers of the chain: the SDK's name, the name for users, and the text of the provider if nothing is
/// configured.
const PROVIDERS: &[(&str, &str, &str)] = &[
    ("Environment", "variables", "environment variable not set"),
    ("CredentialProcess", "credential_process", "has no credential_process"),
    ("Profile", "profile", "profile `default` was not defined"),
    ("WebIdentityToken", "web identity token", "was not set"),
    ("EcsContainer", "container", "ECS provider not configured"),
    ("Ec2InstanceMetadata", "EC2 instance", "no usual words"),
];

/// The advice for messages of the SDK that say more than that there are no credentials. The first text that the
/// message contains applies.
const REMEDIES: &[(&str, &[&str])] = &[
    ("SSO token", &[SSO_ADVICE]),
    ("Session token not found or invalid", &[SSO_ADVICE]),
    // On a machine without a metadata service, the request may time out as well, so the general advice comes
    // first.
    ("IMDS: dispatch failure: timeout", &[CREDENTIALS_ADVICE, HOP_LIMIT_ADVICE]),
];

const SSO_ADVICE: &str = "the sign-in has expired or is missing; run aws sso login";

/// The replies of a machine's metadata service travel one hop by default, so they do not reach the machine's
/// containers.
const HOP_LIMIT_ADVICE: &str =
    "in a container on EC2, set the instance's metadata hop limit to 2 (aws ec2 modify-instance-metadata-options)";

/// Returns what kept the request, or a request for its credentials, from its service, if it is known.
fn refusal_by_obstacle(operation: &Operation, error: &(dyn Error + 'static)) -> Option<FailedAttempt> {
    let of_token_service = || {
        causes(error).find_map(|error| {
            let with_role = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>().and_then(sts_obstacle);
            with_role.or_else(|| {
                error.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>().and_then(sts_obstacle)
            })
        })
    };
    let obstacle = Obstacle::find_in(error).cloned().or_else(of_token_service)?;
    Some(match is_about_credentials(error) {
        true => obstacle.failed_attempt_lacking(operation.name, "credentials"),
        false => obstacle.refused(operation.name),
    })
}

/// Returns the obstacle if STS can't be reached, has failed or throttles, and so issues no credentials. STS in another
/// region may work.
fn sts_obstacle<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E, HttpResponse>) -> Option<Obstacle> {
    let (cause, words) = match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let cause = code_of(error).and_then(cause_of_code).unwrap_or_else(|| cause_of_status(status));
            let code = code_of(error).map_or_else(|| format!("HTTP status {status}"), str::to_owned);
            (cause, context.err().message().map_or(code.clone(), |words| format!("{code}: {words}")))
        }
        SdkError::TimeoutError(_) => (Cause::TimedOut, message_of(error)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (Cause::TimedOut, message_of(error)),
        SdkError::DispatchFailure(failure) if failure.is_io() => (Cause::Unreachable, message_of(error)),
        _ => return None,
    };
    let is_of_service = [Cause::Internal, Cause::Throttled, Cause::TimedOut, Cause::Unreachable].contains(&cause);
    is_of_service.then(|| Obstacle::permanent(cause, format!("STS: {words}")))
}

fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| error.is::<aws_credential_types::provider::error::CredentialsError>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_that_are_not_configured_are_one_clause() {
        let chain = "dispatch failure: other: the credential provider was not enabled: no credentials found in chain. Attempted:   \
             CredentialProcess: the credential provider was not enabled: the profile has no credential_process   \
             Default: the credential provider was not enabled: no credentials found in chain. Attempted:   \
             Environment: the credential provider was not enabled: environment variable not set   \
             Profile: the credential provider was not enabled   \
             WebIdentityToken: the credential provider was not enabled: $AWS_WEB_IDENTITY_TOKEN_FILE was not set   \
             EcsContainer: the credential provider was not enabled: ECS provider not configured   \
             Ec2InstanceMetadata: the credential provider was not enabled: IMDS disabled";
        let words = "EC2 instance: IMDS disabled; not configured: credential_process, variables, profile, web identity token, container";
        assert_eq!(condense_chain(chain), words);
        let own = "an error occurred while loading credentials: service error: AccessDenied: no";
        assert_eq!(condense_chain(&format!("dispatch failure: other: {own}")), "service error: AccessDenied: no");
        assert_eq!(condense_chain("something else"), "something else");
    }
}

//! Programs that print the token of another provider of identities.
//!
//! "Determining the subject token in executable-sourced credentials", <https://google.aip.dev/auth/4117>.

use super::super::credential_file;
use super::super::token_server::Context;
use crate::cloud::credentials::{file, subprocess};
use crate::cloud::failure::Cause;
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::failure::refused::FailedAttempt;
use crate::host::process;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// A program that prints a token.
#[derive(Debug)]
pub(crate) struct Executable {
    command: Vec<String>,
    limit: Duration,
    /// The file in which the program keeps its last output.
    output_file: Option<PathBuf>,
    impersonated_email: Option<String>,
}

/// What the program prints, and what the file contains.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Response {
    version: Option<u32>,
    success: Option<bool>,
    token_type: Option<String>,
    id_token: Option<Zeroizing<String>>,
    saml_response: Option<Zeroizing<String>>,
    /// Seconds since 1970.
    expiration_time: Option<u64>,
    code: Option<String>,
    message: Option<String>,
}

/// The variable with which the user of a machine allows programs of a credential file.
const PERMISSION: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";

impl Executable {
    pub(crate) fn new(
        executable: &credential_file::Executable,
        impersonation_url: Option<&str>,
    ) -> Result<Self, String> {
        // No shell is involved, and no quotation marks are known, as in Google's own libraries.
        let command = executable.command.as_deref().unwrap_or_default().split_whitespace();
        let command: Vec<_> = command.map(str::to_owned).collect();
        if command.is_empty() {
            return Err("\"credential_source.executable\" lacks \"command\"".into());
        }
        let email = impersonation_url.and_then(|url| url.rsplit('/').next());
        Ok(Self {
            command,
            limit: Duration::from_millis(executable.timeout_millis.unwrap_or(30_000)),
            output_file: executable.output_file.clone(),
            impersonated_email: email.map(|name| name.trim_end_matches(":generateAccessToken").to_owned()),
        })
    }

    pub(crate) async fn token(
        &self,
        context: &Context<'_>,
        audience: &str,
        token_type: &str,
    ) -> Result<Zeroizing<String>, FailedAttempt> {
        let failed = |why: String| context.bad_credentials(format!("{}: {why}", self.command[0]));
        if (context.variable)(PERMISSION).as_deref() != Some("1") {
            return Err(failed(format!(
                "the credential file wants to run this program; if you trust the file, set {PERMISSION}=1"
            )));
        }
        let now = context.memory.now();
        let kept = self.output_file.as_ref().and_then(|path| file::bytes(path).ok());
        if let Some(token) = kept.and_then(|output| self.parse(&output, now).ok()) {
            return Ok(token);
        }
        let output = self.run(context, audience, token_type).await?;
        self.parse(&output, now).map_err(failed)
    }

    async fn run(
        &self,
        context: &Context<'_>,
        audience: &str,
        token_type: &str,
    ) -> Result<Zeroizing<Vec<u8>>, FailedAttempt> {
        let program = &self.command[0];
        let mut command = process::command(program);
        command.args(&self.command[1..]);
        command.env("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", audience);
        command.env("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", token_type);
        command.env("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0");
        if let Some(email) = &self.impersonated_email {
            command.env("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", email);
        }
        if let Some(path) = &self.output_file {
            command.env("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", path);
        }
        // Shorter than the time of the call, so that the failure can name the program.
        let limit = self.limit.min(context.settings.network.call_timeout.mul_f64(0.7));
        let output =
            subprocess::run(command, limit).await.map_err(|error| match Obstacle::missing_resource(&error) {
                Some(obstacle) => obstacle.refused(context.operation),
                None if error.kind() == std::io::ErrorKind::TimedOut => context.refused(
                    Cause::TimedOut,
                    format!("{program}: {error} (\"timeout_millis\", option \"call_timeout_ms\")"),
                ),
                None => context.bad_credentials(format!("{program}: {error}")),
            })?;
        let stdout = Zeroizing::new(output.stdout);
        if !output.status.success() && serde_json::from_slice::<Response>(&stdout).is_err() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(context.bad_credentials(format!("{program}: {}: {}", output.status, words.trim())));
        }
        Ok(stdout)
    }

    /// Takes the token from the output of the program.
    ///
    /// # Errors
    /// The program's own message, or a message that quotes nothing of the output.
    fn parse(&self, output: &[u8], now: u64) -> Result<Zeroizing<String>, String> {
        let response: Response = serde_json::from_slice(output)
            .map_err(|_| "its output is not the JSON of an executable-sourced credential")?;
        if response.version != Some(1) {
            return Err("its output has not the version 1".into());
        }
        match response.success {
            Some(true) => {}
            Some(false) => {
                let said = [response.code, response.message].into_iter().flatten().collect::<Vec<_>>().join(": ");
                return Err(format!("it failed: {said}"));
            }
            None => return Err("its output lacks \"success\"".into()),
        }
        match response.expiration_time {
            Some(end) if end <= now => return Err("its token has expired".into()),
            None if self.output_file.is_some() => {
                return Err("its output lacks \"expiration_time\", which \"output_file\" needs".into());
            }
            _ => {}
        }
        let (token, name) = match response.token_type.as_deref() {
            Some(SAML2) => (response.saml_response, "saml_response"),
            _ => (response.id_token, "id_token"),
        };
        token.filter(|token| !token.is_empty()).ok_or_else(|| format!("its output lacks {name:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(output_file: bool) -> Executable {
        let file = output_file.then(|| "/nowhere/output".into());
        let members = credential_file::Executable {
            command: Some("/bin/print-token --for  me".into()),
            timeout_millis: None,
            output_file: file,
        };
        Executable::new(&members, Some("https://h/v1/projects/-/serviceAccounts/a@b:generateAccessToken")).unwrap()
    }

    #[test]
    fn a_command_is_split_at_spaces() {
        let own = executable(false);
        assert_eq!(own.command, ["/bin/print-token", "--for", "me"]);
        assert_eq!(own.impersonated_email.as_deref(), Some("a@b"));
        let empty = credential_file::Executable { command: Some("  ".into()), ..Default::default() };
        assert!(Executable::new(&empty, None).unwrap_err().contains("lacks \"command\""));
    }

    #[test]
    fn each_output_has_its_meaning() {
        let jwt = "urn:ietf:params:oauth:token-type:jwt";
        let good = format!(
            r#"{{"version": 1, "success": true, "token_type": "{jwt}", "id_token": "t", "expiration_time": 101}}"#
        );
        assert_eq!(executable(true).parse(good.as_bytes(), 100).unwrap().as_str(), "t");
        let saml = format!(r#"{{"version": 1, "success": true, "token_type": "{SAML2}", "saml_response": "s"}}"#);
        assert_eq!(executable(false).parse(saml.as_bytes(), 100).unwrap().as_str(), "s");
        let failed = r#"{"version": 1, "success": false, "code": "401", "message": "no session"}"#;
        for (output, file, words) in [
            (good.as_str(), true, "its token has expired"),
            (saml.as_str(), true, "lacks \"expiration_time\""),
            (r#"{"version": 1, "success": true, "id_token": ""}"#, false, "lacks \"id_token\""),
            (failed, false, "it failed: 401: no session"),
            (r#"{"version": 2, "success": true, "id_token": "t"}"#, false, "not the version 1"),
            (r#"{"version": 1, "id_token": "t"}"#, false, "lacks \"success\""),
            ("s3cret", false, "not the JSON of an executable-sourced credential"),
        ] {
            let why = executable(file).parse(output.as_bytes(), 101).unwrap_err();
            assert!(why.contains(words) && !why.contains("s3cret"), "{why}");
        }
    }
}

//! From a request to a reply: whose it is, which faults it meets, who answers it.

use super::call::{Call, Service};
use super::delivery::{Aborted, ReplyBody, response};
use super::forgery::{forge, page};
use crate::clock;
use crate::faults::{Action, Tamper};
use crate::http::{Reply, Request};
use crate::state::{Entry, Fate, State};
use hyper::Response;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// For how long [`Action::Await`] waits; then the request is answered all the same.
const AWAITED: Duration = Duration::from_secs(60);

/// Answers one request, or ends the connection.
pub(super) async fn answer(
    state: Arc<State>,
    fate: Arc<Fate>,
    request: Request,
) -> Result<Response<ReplyBody>, Aborted> {
    let call = Call::of(&state, &request);
    let service = call.service;
    let observed = service != Service::Control;
    if observed && fate.silent.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let actions =
        if observed { state.faults.take(&call.operation, &call.names, call.region.as_deref()) } else { Vec::new() };
    let mut entry = call.entry(&request);
    if observed {
        state.traffic.count(&call.operation);
    }
    faults_before_reply(&state, &fate, &entry, &actions).await?;
    if let Some(page) = actions.iter().find_map(page) {
        entry.status = page.status;
        state.traffic.record(entry);
        return response(page, &actions, fate);
    }
    let forged = actions.iter().find_map(|action| forge(&call, &state, &request, action));
    let reply = match forged {
        Some(reply) => reply,
        None => {
            let (state, request, tamper) = (state.clone(), request.clone(), Tamper::of(&actions));
            tokio::task::spawn_blocking(move || call.answer(&state, &request, tamper)).await.map_err(|_| Aborted)?
        }
    };
    if observed {
        entry.status = reply.status;
        state.traffic.record(entry);
    }
    response(with_common_headers(&state, &request, service, reply), &actions, fate)
}

/// Carries out the faults that delay a reply or that leave a request without one.
async fn faults_before_reply(
    state: &Arc<State>,
    fate: &Fate,
    entry: &Entry,
    actions: &[Action],
) -> Result<(), Aborted> {
    for action in actions {
        match action {
            Action::Delay { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Action::Await { requests } => {
                let (state, operation, requests) = (state.clone(), entry.operation.clone(), *requests);
                let all = tokio::task::spawn_blocking(move || state.traffic.wait(&operation, requests, AWAITED));
                all.await.map_err(|_| Aborted)?;
            }
            Action::Hang => {
                state.traffic.record(entry.clone());
                return std::future::pending().await;
            }
            Action::ResetBeforeReply => {
                state.traffic.record(entry.clone());
                fate.reset.store(true, Ordering::SeqCst);
                return Err(Aborted);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Headers that every service sends.
fn with_common_headers(state: &State, request: &Request, service: Service, reply: Reply) -> Reply {
    let known = |name: &str| reply.headers.iter().any(|(header, _)| *header == name);
    let has_amazon_id = known("x-amzn-requestid");
    let reply = reply.with("date", clock::http_date(state.clock.now()));
    if matches!(service, Service::GoogleKms | Service::GoogleIdentity(_)) {
        return reply;
    }
    let amazon = request.header("x-amz-target").is_some() || request.header("x-amz-date").is_some();
    if amazon {
        return if has_amazon_id { reply } else { reply.with("x-amzn-requestid", state.ids.uuid()) };
    }
    let reply = reply.with("x-ms-request-id", state.ids.uuid()).with("cache-control", "no-cache");
    match request.header("x-ms-client-request-id").map(str::to_owned) {
        Some(id) => reply.with("x-ms-client-request-id", id),
        None => reply,
    }
}

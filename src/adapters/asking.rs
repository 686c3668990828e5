//! A question to an instance of ours, by HTTP.

use std::net::SocketAddr;
use std::time::Duration;

/// Status and body of what is answered in time.
///
/// # Errors
/// When nothing answers there, or not in time.
pub fn ask(
    address: SocketAddr,
    path: &str,
    patience: Duration,
) -> Result<(u16, String), ureq::Error> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        // An instance on this machine is not behind the proxy that the environment may name.
        .proxy(None);
    let agent: ureq::Agent = config.build().into();
    let mut answer = agent.get(format!("http://{address}{path}")).call()?;
    let told = answer.body_mut().read_to_string()?;
    Ok((answer.status().as_u16(), told))
}

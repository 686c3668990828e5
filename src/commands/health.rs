//! `health`: asks an instance how it is, where there is neither a shell nor curl to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::Failure;
use crate::adapters::asking::ask;
use crate::config::Settings;

/// Ask an instance on this machine whether it is at work.
///
/// For health checks of containers, which have no other program to ask with. The address is the one that the instance
/// itself is told to answer at, by the same settings; an address of every interface is asked on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gpad-live health                                   # ready: every task of the instance is at work
  gpad-live health --live                            # it answers at all
  gpad-live health --config /etc/gpad-live.toml
  gpad-live health --address 10.0.0.7:9464 --patience-seconds 2

The exit code is 0 when it is, 1 when it is not or does not answer, 2 for wrong use or configuration. What /readyz gives as
reasons is printed.")]
pub struct Arguments {
    /// Whether it answers at all (/livez), be it ready or not.
    #[arg(long)]
    live: bool,
    /// Where it answers; without it http.address of the settings.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<SocketAddr>,
    /// Settings of the instance; without it the defaults. GPAD_HTTP_ADDRESS goes before the file.
    #[arg(long, value_name = "FILE", env = "GPAD_CONFIG")]
    config: Option<PathBuf>,
    /// How long its answer is waited for.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    patience_seconds: u64,
}

/// Runs the command.
///
/// # Errors
/// Settings that are wrong or switch HTTP off; an instance that is not as asked, or does not answer.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = if let Some(address) = arguments.address {
        address
    } else {
        let settings = Settings::load(arguments.config.as_deref())?;
        let off =
            "http.address = \"off\": the instance answers nobody; give --address if another does";
        settings
            .http
            .address
            .ok_or_else(|| Failure::Usage(off.to_owned()))?
    };
    let path = if arguments.live { "/livez" } else { "/readyz" };
    let patience = Duration::from_secs(arguments.patience_seconds);
    let (status, told) = ask(reachable(address), path, patience)
        .with_context(|| format!("{path} at {address}"))
        .map_err(Failure::Failed)?;
    super::print(&format!("{}\n", told.trim_end()))?;
    match status {
        200 => Ok(()),
        _ => Err(Failure::Failed(anyhow::anyhow!(
            "{path} at {address} answers {status}"
        ))),
    }
}

/// Nobody can be asked at the address that stands for all of them.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_every_interface_is_asked_on_this_machine() {
        let cases = [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.7:1", "10.0.0.7:1"),
            ("127.0.0.1:9464", "127.0.0.1:9464"),
        ];
        for (told, asked) in cases {
            let told: SocketAddr = told.parse().expect("an address");
            assert_eq!(reachable(told).to_string(), asked);
        }
    }
}

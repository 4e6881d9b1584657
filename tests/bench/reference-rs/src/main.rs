//! The same job as ses-smtp-operator, as it would be written with kube-rs. See README.md.

mod controller;
mod lease;
mod reconcile;
mod resources;
mod smtp;

use std::{error::Error, process::ExitCode};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing::error;

use crate::{controller::Controller, lease::Election};

const USAGE: &str = "usage: reference-rs [--kubeconfig FILE] [--workers 8] [--leader-elect=true|false] \
    [--lease-namespace ses-smtp-system] [--lease-name reference-rs] [--metrics-bind-address 0]";

struct Options {
    kubeconfig: Option<String>,
    workers: usize,
    leader_elect: bool,
    lease_namespace: String,
    lease_name: String,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            kubeconfig: None,
            workers: 8,
            leader_elect: true,
            lease_namespace: "ses-smtp-system".into(),
            lease_name: "reference-rs".into(),
        };
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                // As Go's flags have it, a switch takes no second argument.
                None if argument == "--leader-elect" => ("--leader-elect", "true".into()),
                None => {
                    let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
                    (argument.as_str(), value)
                }
            };
            let invalid = || format!("{name}: invalid value {value}");
            match name {
                "--kubeconfig" => options.kubeconfig = Some(value),
                "--workers" => {
                    options.workers = value.parse().ok().filter(|workers| *workers > 0).ok_or_else(invalid)?;
                }
                "--leader-elect" => options.leader_elect = value.parse().map_err(|_| invalid())?,
                "--lease-namespace" => options.lease_namespace = value,
                "--lease-name" => options.lease_name = value,
                // Taken for the sake of the same command line as reference-go: there are no metrics.
                "--metrics-bind-address" if value == "0" => {}
                _ => return Err(format!("unknown: {name} {value}")),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_target(false).init();
    // All work is waiting for the API server. One thread saves the wake-ups between threads, which would add to the
    // latency, and their stacks and arenas of malloc, which would add to the memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(options)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut stop = std::pin::pin!(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let config = match &options.kubeconfig {
        Some(path) => {
            Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await?,
    };
    // kube has no rate limit on the client's side: the API server's own fairness rules it.
    let client = Client::try_from(config)?;
    let controller = Controller::new(client.clone(), options.workers);
    if !options.leader_elect {
        controller.run(stop).await;
        return Ok(());
    }

    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let identity = format!("{}_{}", host.trim(), std::process::id());
    let mut election = Election::new(client, &options.lease_namespace, options.lease_name, identity);
    tokio::select! {
        () = &mut stop => return Ok(()),
        () = election.acquire() => {}
    }
    let stopped = tokio::select! {
        () = controller.run(stop) => true,
        () = election.renew() => false,
    };
    if !stopped {
        return Err("lost the Lease".into());
    }
    election.release().await;
    Ok(())
}

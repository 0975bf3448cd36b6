//! A program that publishes a live resource: the seconds since 1970, one a second, to everybody who
//! asks for /clock.txt.
//!
//!     cargo run -p httpout-smol --example smol_publish

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    error::Error,
    io,
    net::TcpListener,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use httpout_smol::{Config, Description, LiveOptions, Options, Publisher, Server, serve};
use smol::Executor;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.live = true;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = Server::bind(config, Options::default(), vec![listener])?;
    for address in server.local_addrs() {
        println!("http://{address}/clock.txt until you press Enter");
    }

    let handle = server.handle();
    std::thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shut_down();
    });
    let executor = Arc::new(Executor::new());
    executor.spawn(tick(server.publisher())).detach();
    smol::block_on(executor.run(serve(server, executor.clone())))?;
    Ok(())
}

async fn tick(publisher: Publisher) -> Result<(), Box<dyn Error + Send + Sync>> {
    let description = Description::new("text/plain");
    let mut clock = publisher.begin("clock.txt", description, LiveOptions::default()).await?;
    loop {
        let now = UNIX_EPOCH.elapsed()?.as_secs();
        clock.write(format!("{now}\n"), true).await?;
        smol::Timer::after(Duration::from_secs(1)).await;
    }
}

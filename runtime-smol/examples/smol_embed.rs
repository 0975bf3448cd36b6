//! A server inside another program: serves a directory, takes uploads, ends when the program wants
//! it to.
//!
//!     cargo run -p httpout-smol --example smol_embed -- DIR

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::{error::Error, io, net::TcpListener, sync::Arc};

use httpout_smol::{Config, Options, Server, serve};
use smol::Executor;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("which directory?")?;
    let mut config = Config::default();
    config.read_dirs = vec![dir.clone().into()];
    config.write_dir = Some(dir.into());

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = Server::bind(config, Options::default(), vec![listener])?;
    for address in server.local_addrs() {
        println!("http://{address}/ until you press Enter");
    }

    let handle = server.handle();
    std::thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shut_down();
    });
    let executor = Arc::new(Executor::new());
    smol::block_on(executor.run(serve(server, executor.clone())))?;
    Ok(())
}

//! Compiles the program anew when the web UI inside it was built anew.

fn main() {
    println!("cargo:rerun-if-changed=../../web/dist");
}

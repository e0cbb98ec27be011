extern crate alloc;
use addr::*;
use machine::*;
struct R;
impl<H: Hardware> ExitHandler<H> for R {
    fn call(&mut self, _h: &mut H, _f: &mut Frame, _c: Conduit) -> Next {
        Next::Resume
    }
    fn interrupt(&mut self, _h: &mut H) -> Next {
        Next::Resume
    }
    fn trap(&mut self, _h: &mut H, _f: &mut Frame, _s: &Syndrome) {}
    fn system_error(&mut self, _h: &mut H, _f: &mut Frame, _s: &Syndrome) {}
    fn full(&mut self, _h: &mut H, _f: &mut Frame) {}
    fn describe(&self, _o: &mut dyn core::fmt::Write) {}
}
arch::image!(role: R, primary: primary, secondary: secondary);
fn secondary(_r: &mut R, _h: &mut arch::ThisCpu) -> ! {
    loop {}
}
fn primary(boot: arch::Boot) -> ! {
    let board = board::Board::discover(boot.device_tree());
    match board {
        Ok(board) => {
            boot.start_console(board.console.registers);
            panic!("hello {board:?}");
        }
        Err(_) => loop {},
    }
}

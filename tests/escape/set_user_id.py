# A set-user-id program of the tenant's own image, started by an ordinary user, for what that may gain.
import shutil, subprocess


def a_copy_of_python():
    program = "/tmp/as-root"
    shutil.copyfile(os.path.realpath("/usr/bin/python3"), program)
    os.chown(program, 0, 0)
    os.chmod(program, 0o4755)
    try:
        user = subprocess.run([program, "-c", "import os; print(os.geteuid())"], capture_output=True, text=True,
                              user=1000, group=1000, extra_groups=[])
    finally:
        os.unlink(program)
    if user.stdout.strip() == "0":
        return "uid 1000 became root"
    raise Refused(f"effective user {user.stdout.strip()} {user.stderr.strip()}")


attempt(a_copy_of_python)

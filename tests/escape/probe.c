/* Not an attempt: what an image without any program brings along to be run in it. `probe wait` stays; `probe read PATH`
   prints the beginning of a file. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], "wait") == 0) {
        for (;;) pause();
    }
    if (count != 3 || strcmp(words[1], "read") != 0) return 2;
    char text[512];
    int file = open(words[2], O_RDONLY | O_NONBLOCK);
    if (file < 0) { perror(words[2]); return 1; }
    ssize_t size = read(file, text, sizeof text);
    if (size < 0) { perror(words[2]); return 1; }
    return fwrite(text, 1, (size_t)size, stdout) == (size_t)size ? 0 : 1;
}

# A guest for the CD: says hello on its serial line and halts with interrupts off.
    .section .text
    .balign 4
header:
    .long 0x1BADB002, 0x10000, -(0x1BADB002 + 0x10000)
    .long header, header, 0, 0, start
start:
    # Eight data bits.
    mov $0x3FB, %dx
    mov $3, %al
    out %al, %dx
    mov $text, %esi
    mov $0x3F8, %dx
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  hlt
    jmp 2b
text:
    .asciz "hello from the guest\r\n"

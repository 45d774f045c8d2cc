# Sends its argument to mDNS' group (224.0.0.251, port 5353) through interface 2 and prints what others send.
# Linux for i386, without a library: as --32, ld -m elf_i386.

        .globl  _start
        .text
_start: mov     8(%esp), %esi           # the argument
        mov     %esi, %edi
        xor     %eax, %eax
        mov     $-1, %ecx
        repne scasb
        not     %ecx
        dec     %ecx
        mov     %ecx, length

        mov     $359, %eax              # socket(AF_INET, SOCK_DGRAM, 0)
        mov     $2, %ebx
        mov     $2, %ecx
        xor     %edx, %edx
        int     $0x80
        test    %eax, %eax
        js      fail
        mov     %eax, %ebp

        mov     $361, %eax              # bind(fd, anywhere, 16)
        mov     %ebp, %ebx
        mov     $any, %ecx
        mov     $16, %edx
        int     $0x80
        test    %eax, %eax
        js      fail

        push    %esi
        mov     $options, %edi
option: mov     (%edi), %ecx            # level, name, value, length, until level -1
        cmp     $-1, %ecx
        je      joined
        push    %edi
        mov     $366, %eax              # setsockopt
        mov     %ebp, %ebx
        mov     4(%edi), %edx
        mov     8(%edi), %esi
        mov     12(%edi), %edi
        int     $0x80
        pop     %edi
        test    %eax, %eax
        js      fail
        add     $16, %edi
        jmp     option
joined: pop     %esi

        movl    $60, rounds
round:  call    send
        push    %esi
        mov     $371, %eax              # recvfrom(fd, buffer, 512, 0, 0, 0), a second at most
        mov     %ebp, %ebx
        mov     $buffer, %ecx
        mov     $512, %edx
        xor     %esi, %esi
        xor     %edi, %edi
        push    %ebp
        xor     %ebp, %ebp
        int     $0x80
        pop     %ebp
        pop     %esi
        test    %eax, %eax
        jg      heard
        decl    rounds
        jnz     round
fail:   mov     $1, %eax                # exit(1)
        mov     $1, %ebx
        int     $0x80

heard:  mov     %eax, %edx              # write(1, buffer, n)
        mov     $4, %eax
        mov     $1, %ebx
        mov     $buffer, %ecx
        int     $0x80
        call    send                    # Who was heard listens by now.
        call    send
        mov     $1, %eax                # exit(0)
        xor     %ebx, %ebx
        int     $0x80

send:   push    %esi
        mov     $369, %eax              # sendto(fd, argument, length, 0, group, 16)
        mov     %ebp, %ebx
        mov     %esi, %ecx
        mov     length, %edx
        xor     %esi, %esi
        mov     $group, %edi
        push    %ebp
        mov     $16, %ebp
        int     $0x80
        pop     %ebp
        pop     %esi
        ret

        .data
any:    .word   2, 0xE914               # AF_INET, 5353
        .long   0, 0, 0
group:  .word   2, 0xE914
        .byte   224, 0, 0, 251
        .long   0, 0
member: .byte   224, 0, 0, 251
        .long   0, 2                    # any address, interface 2
second: .long   1, 0
zero:   .long   0
options:
        .long   0, 35, member, 12       # IP_ADD_MEMBERSHIP
        .long   0, 32, member, 12       # IP_MULTICAST_IF
        .long   0, 34, zero, 4          # IP_MULTICAST_LOOP
        .long   1, 20, second, 8        # SO_RCVTIMEO
        .long   -1
        .bss
        .lcomm  length, 4
        .lcomm  rounds, 4
        .lcomm  buffer, 512

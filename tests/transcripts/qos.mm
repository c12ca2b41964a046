# traffic to VMs, hampered
namespace red
vm config networks LAN BACK
vm launch kvm web[1-2]
vm start all
qos add web[1-2] 0 rate 1 mbit
.columns name,qos vm info
qos add web1 1 loss 5
qos add web1 1 delay 100ms
.columns name,qos vm info

# a rate and loss or delay replace each other
qos add web1 1 rate 512 kbit
.columns name,qos .filter name=web1 vm info
qos add web1 0 delay 20
.columns name,qos .filter name=web1 vm info

# it stays when the VM ends and is started again
vm kill web1
vm start web1
.columns name,state,qos .filter name=web1 vm info
clear qos web1 0
.columns name,qos .filter name=web1 vm info
clear qos all
.columns name,qos vm info

# what cannot be set changes nothing
qos add web1 100 rate 1 mbit
qos add all 2 loss 5
qos add web1 first rate 1 mbit
qos add web1 0 loss 150
qos add web1 0 delay 100xbit
qos add web1 0 delay -5ms
qos add web1 0 rate 1.5 mbit
qos add web1 0 rate 0 kbit
qos add nobody 0 loss 5
qos add web1,nobody 0 loss 5
clear qos web1 7
clear qos nobody
.columns name,qos vm info
clear namespace all

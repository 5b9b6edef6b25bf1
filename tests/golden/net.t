SPDX-License-Identifier: Apache-2.0

What --net and --mac refuse.

Kinds:

  $ husk run -n "" -- true
  ! husk: --net: expected none, tap=NAME, fd=N or passt, found ""
  [125]
  $ husk run -n user -- true
  ! husk: --net: expected none, tap=NAME, fd=N or passt, found "user"
  [125]
  $ husk run -n tap -- true
  ! husk: --net: expected none, tap=NAME, fd=N or passt, found "tap"
  [125]
  $ husk run -n tap= -- true
  ! husk: --net: "" is no valid name of a network interface (1 to 15 characters)
  [125]
  $ husk run -n tap=a-name-too-long1 -- true
  ! husk: --net: "a-name-too-long1" is no valid name of a network interface (1 to 15 characters)
  [125]
  $ husk run -n tap=../tun -- true
  ! husk: --net: "../tun" is no valid name of a network interface (1 to 15 characters)
  [125]
  $ husk run -n fd=0 -- true
  ! husk: --net: "0" is not the number of an open descriptor; expected 3 or more
  [125]
  $ husk run -n fd=x -- true
  ! husk: --net: "x" is not the number of an open descriptor; expected 3 or more
  [125]
  $ husk run -n fd=4294967299 -- true
  ! husk: --net: "4294967299" is not the number of an open descriptor; expected 3 or more
  [125]
  $ husk run -n passt=yes -- true
  ! husk: --net: expected none, tap=NAME, fd=N or passt, found "passt=yes"
  [125]
  $ husk run -n none,mtu=1500 -- true
  ! husk: --net: expected none, tap=NAME, fd=N or passt, found "none"
  [125]

Sub-options:

  $ husk run -n passt, -- true
  ! husk: --net: unknown sub-option ""; there are mac=, mtu=, ip=, gw=, dns=, tcp=, udp= and host=
  [125]
  $ husk run -n passt,foo=1 -- true
  ! husk: --net: unknown sub-option "foo"; there are mac=, mtu=, ip=, gw=, dns=, tcp=, udp= and host=
  [125]
  $ husk run -n passt,mac -- true
  ! husk: --net: mac: needs a value, mac=...
  [125]
  $ husk run -n passt,mac= -- true
  ! husk: --net: mac: needs a value, mac=...
  [125]
  $ husk run -n passt,mac=01:00:5e:00:00:01 -- true
  ! husk: --net: mac: "01:00:5e:00:00:01" is not the MAC address of one interface; expected a form like 06:00:ac:10:00:02, the first byte even
  [125]
  $ husk run -n passt,mac=00:00:00:00:00:00 -- true
  ! husk: --net: mac: "00:00:00:00:00:00" is not the MAC address of one interface; expected a form like 06:00:ac:10:00:02, the first byte even
  [125]
  $ husk run -n passt,mac=6:0:ac:10:0:2 -- true
  ! husk: --net: mac: "6:0:ac:10:0:2" is not the MAC address of one interface; expected a form like 06:00:ac:10:00:02, the first byte even
  [125]
  $ husk run -n passt,mtu=67 -- true
  ! husk: --net: mtu: "67" is not a number of bytes from 68 to 65535
  [125]
  $ husk run -n passt,mtu=65536 -- true
  ! husk: --net: mtu: "65536" is not a number of bytes from 68 to 65535
  [125]
  $ husk run -n passt,ip=10.0.0.2 -- true
  ! husk: --net: ip: "10.0.0.2" is not an IPv4 address with its prefix length; expected a form like 172.16.0.2/24
  [125]
  $ husk run -n passt,ip=10.0.0/24 -- true
  ! husk: --net: ip: "10.0.0/24" is not an IPv4 address with its prefix length; expected a form like 172.16.0.2/24
  [125]
  $ husk run -n passt,ip=10.0.0.2/33 -- true
  ! husk: --net: ip: "10.0.0.2/33" is not an IPv4 address with its prefix length; expected a form like 172.16.0.2/24
  [125]
  $ husk run -n passt,ip=fd00::2/64 -- true
  ! husk: --net: ip: "fd00::2/64" is not an IPv4 address with its prefix length; expected a form like 172.16.0.2/24
  [125]
  $ husk run -n passt,ip=10.0.0.2/24,gw=gateway -- true
  ! husk: --net: gw: "gateway" is not an IPv4 address
  [125]
  $ husk run -n passt,ip=10.0.0.2/24,dns=10.0.0.256 -- true
  ! husk: --net: dns: "10.0.0.256" is not an IPv4 address
  [125]
  $ husk run -n passt,gw=10.0.0.1 -- true
  ! husk: --net: gw= needs ip=ADDR/PREFIX
  [125]
  $ husk run -n passt,dns=10.0.0.1 -- true
  ! husk: --net: dns= needs ip=ADDR/PREFIX
  [125]
  $ husk run -n passt,tcp=80 -- true
  ! husk: --net: tcp: "80" is not HOSTPORT:GUESTPORT, two numbers from 1 to 65535
  [125]
  $ husk run -n passt,tcp=0:80 -- true
  ! husk: --net: tcp: "0:80" is not HOSTPORT:GUESTPORT, two numbers from 1 to 65535
  [125]
  $ husk run -n passt,udp=53:65536 -- true
  ! husk: --net: udp: "53:65536" is not HOSTPORT:GUESTPORT, two numbers from 1 to 65535
  [125]
  $ husk run -n tap=tap0,tcp=8080:80 -- true
  ! husk: --net: tcp= works with passt only
  [125]

Two of one thing:

  $ husk run -n tap=tap0 -n tap=tap0 -- true
  ! husk: --net: its host device is in use by interface "eth0"
  [125]
  $ husk run -n fd=5 -n fd=5 -- true
  ! husk: --net: its host device is in use by interface "eth0"
  [125]
  $ husk run -n tap=a,mac=06:00:00:00:00:01 -n tap=b,mac=06:00:00:00:00:01 -- true
  ! husk: --net: its MAC address is in use by interface "eth0"
  [125]
  $ husk run -n tap=a -n tap=b -n tap=c -n tap=d -n tap=e -- true
  ! husk: --net: too many network interfaces; a VM has at most 4
  [125]

--mac:

  $ husk run --mac 06:00:00:00:00:01 -- true
  ! husk: --mac: there is no network interface; add --net
  [125]
  $ husk run -n passt --mac nonsense -- true
  ! husk: --mac: "nonsense" is not the MAC address of one interface; expected a form like 06:00:ac:10:00:02, the first byte even
  [125]
  $ husk run -n passt,mac=06:00:00:00:00:01 --mac 06:00:00:00:00:02 -- true
  ! husk: --mac: the first --net has mac= already
  [125]
  $ husk run --mac 06:00:00:00:00:01 -n tap=a -n tap=b,mac=06:00:00:00:00:01 -- true
  ! husk: --mac: another --net has this address
  [125]

// The virtual network: one subnet for the app's way out, one for private endpoints, and the way to the own premises.
import { isPrivate } from 'ranges.bicep'

@description('What makes names of this installation unlike all others.')
param token string

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

@description('Address range of the network, a /24.')
param range string

@description('Name servers; empty: those of Azure.')
param dnsServers string[]

@description('Hub network to peer with; empty: none.')
param hubNetworkId string

@description('Ranges of the own premises.')
param onPremisesRanges string[]

@description('Firewall in the hub through which they are reached; empty: the gateway own routes do.')
param hubFirewallAddress string

@description('Ranges of administrators; the private ones among them may connect to the endpoints.')
param administratorRanges string[]

@description('Who connects to the endpoints from within private networks.')
var administratorsInside = filter(administratorRanges, one => isPrivate(one))

// Nobody connects to the app's subnet from outside, and only the app and administrators connect to the endpoints.
resource closed 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: 'nsg-bic-app-${token}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'nothing-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource forEndpoints 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: 'nsg-bic-endpoints-${token}'
  location: location
  tags: tags
  properties: {
    securityRules: concat(
      [
        {
          name: 'app-in'
          properties: {
            priority: 100
            direction: 'Inbound'
            access: 'Allow'
            protocol: 'Tcp'
            sourceAddressPrefix: cidrSubnet(range, 26, 0)
            sourcePortRange: '*'
            destinationAddressPrefix: cidrSubnet(range, 26, 1)
            destinationPortRanges: ['443', '1433']
          }
        }
      ],
      empty(administratorsInside)
        ? []
        : [
            {
              name: 'administrators-in'
              properties: {
                priority: 110
                direction: 'Inbound'
                access: 'Allow'
                protocol: 'Tcp'
                sourceAddressPrefixes: administratorsInside
                sourcePortRange: '*'
                destinationAddressPrefix: cidrSubnet(range, 26, 1)
                destinationPortRanges: ['443', '1433']
              }
            }
          ],
      [
        {
          name: 'nothing-else-in'
          properties: {
            priority: 4096
            direction: 'Inbound'
            access: 'Deny'
            protocol: '*'
            sourceAddressPrefix: '*'
            sourcePortRange: '*'
            destinationAddressPrefix: '*'
            destinationPortRange: '*'
          }
        }
      ]
    )
  }
}

resource routes 'Microsoft.Network/routeTables@2025-05-01' = {
  name: 'rt-bic-${token}'
  location: location
  tags: tags
  properties: {
    disableBgpRoutePropagation: false
    routes: [
      for (prefix, index) in (empty(hubFirewallAddress) ? [] : onPremisesRanges): {
        name: 'on-premises-${index}'
        properties: {
          addressPrefix: prefix
          nextHopType: 'VirtualAppliance'
          nextHopIpAddress: hubFirewallAddress
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-bic-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [range] }
    dhcpOptions: { dnsServers: dnsServers }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(range, 26, 0)
          defaultOutboundAccess: false
          networkSecurityGroup: { id: closed.id }
          routeTable: { id: routes.id }
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(range, 26, 1)
          defaultOutboundAccess: false
          networkSecurityGroup: { id: forEndpoints.id }
          privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
        }
      }
    ]
  }

  resource toHub 'virtualNetworkPeerings' = if (!empty(hubNetworkId)) {
    name: 'to-hub'
    properties: {
      remoteVirtualNetwork: { id: hubNetworkId }
      allowVirtualNetworkAccess: true
      allowForwardedTraffic: false
      allowGatewayTransit: false
      useRemoteGateways: true
    }
  }
}

@description('Resource id of the network.')
output networkId string = network.id

@description('Resource id of the subnet through which the app goes out.')
output appSubnetId string = '${network.id}/subnets/app'

@description('Resource id of the subnet of private endpoints.')
output endpointsSubnetId string = '${network.id}/subnets/endpoints'
